# Integration tests: pytest against the binary, real redis-server and redis-sentinel. The driver's log takes the
# whole output; the closing lines also go to the terminal, over fd 9.
AM_TESTS_FD_REDIRECT = 9>&2
AM_TESTS_ENVIRONMENT += HOLDFAST_TEST_TERMINAL=1; export HOLDFAST_TEST_TERMINAL;
dist_check_SCRIPTS = tests/integration/run.sh
TESTS += tests/integration/run.sh
EXTRA_DIST += \
	tests/browser/.npmrc \
	tests/browser/foreign.mjs \
	tests/browser/package-lock.json \
	tests/browser/package.json \
	tests/clients/client.php \
	tests/clients/client.py \
	tests/clients/client.rb \
	tests/clients/insight.mjs \
	tests/clients/ioredis.mjs \
	tests/clients/node_redis.mjs \
	tests/clients/package.json \
	tests/conftest.py \
	tests/integration/browser.py \
	tests/integration/certs.py \
	tests/integration/completion.zsh \
	tests/integration/counters.py \
	tests/integration/harness.py \
	tests/integration/hosts.py \
	tests/integration/keeper.py \
	tests/integration/load.py \
	tests/integration/netlab.py \
	tests/integration/ports.py \
	tests/integration/procs.py \
	tests/integration/test_adopt.py \
	tests/integration/test_api.py \
	tests/integration/test_backup.py \
	tests/integration/test_bad_input.py \
	tests/integration/test_cert.py \
	tests/integration/test_cli.py \
	tests/integration/test_client_libraries.py \
	tests/integration/test_clients.py \
	tests/integration/test_clock.py \
	tests/integration/test_config.py \
	tests/integration/test_container.py \
	tests/integration/test_differential.py \
	tests/integration/test_documented.py \
	tests/integration/test_durability.py \
	tests/integration/test_failover.py \
	tests/integration/test_foreign_page.py \
	tests/integration/test_full_disk.py \
	tests/integration/test_half_sent.py \
	tests/integration/test_hosts.py \
	tests/integration/test_hosts_all.py \
	tests/integration/test_hosts_cut.py \
	tests/integration/test_hosts_differ.py \
	tests/integration/test_hosts_grow.py \
	tests/integration/test_hosts_modules.py \
	tests/integration/test_hosts_more.py \
	tests/integration/test_hosts_nat.py \
	tests/integration/test_hosts_tls.py \
	tests/integration/test_http.py \
	tests/integration/test_http_beyond.py \
	tests/integration/test_http_stream.py \
	tests/integration/test_instance.py \
	tests/integration/test_keeper.py \
	tests/integration/test_leftover.py \
	tests/integration/test_modules.py \
	tests/integration/test_proxied.py \
	tests/integration/test_proxy.py \
	tests/integration/test_read_door.py \
	tests/integration/test_resume.py \
	tests/integration/test_rolling.py \
	tests/integration/test_service.py \
	tests/integration/test_session_kept.py \
	tests/integration/test_sites.py \
	tests/integration/test_start.py \
	tests/integration/test_state_version.py \
	tests/integration/test_stats.py \
	tests/integration/test_supervise.py \
	tests/integration/test_switchover.py \
	tests/integration/test_takeover.py \
	tests/integration/test_tls.py \
	tests/integration/test_tls_backend.py \
	tests/integration/test_upgrade.py \
	tests/integration/test_webdis_parity.py \
	tests/integration/test_websocket.py \
	tests/integration/waiting.py \
	tests/integration/wire.py
EXTRA_DIST += tests/integration/test_page.py \
	tests/browser/canned.mjs tests/browser/edit.mjs tests/browser/failover.mjs tests/browser/hosts.mjs tests/browser/lib.mjs tests/browser/login.mjs \
	tests/browser/million.mjs tests/browser/modules.mjs tests/browser/pages.mjs tests/browser/silence.mjs tests/browser/views.mjs

# Those that are too long for every run.
check-long: holdfast$(EXEEXT)
	HOLDFAST_TEST_LONG=1 HOLDFAST=$(abs_top_builddir)/holdfast$(EXEEXT) $(SHELL) $(srcdir)/tests/integration/run.sh -m long
.PHONY: check-long
