# Unit tests of src/instance
unit_tests += tests/unit/test_redis_conf
tests_unit_test_redis_conf_SOURCES = tests/unit/test_redis_conf.c
tests_unit_test_redis_conf_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_sentinel_conf
tests_unit_test_sentinel_conf_SOURCES = tests/unit/test_sentinel_conf.c tests/unit/scratch.h
tests_unit_test_sentinel_conf_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_probe
tests_unit_test_probe_SOURCES = tests/unit/test_probe.c tests/unit/fake_server.c tests/unit/fake_server.h
tests_unit_test_probe_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_failover
tests_unit_test_failover_SOURCES = tests/unit/test_failover.c tests/unit/failover_world.c tests/unit/failover_world.h \
	tests/unit/fake_server.c tests/unit/fake_server.h tests/unit/golden.h
tests_unit_test_failover_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)
EXTRA_DIST += tests/unit/golden/failover.fsm

unit_tests += tests/unit/test_diverged
tests_unit_test_diverged_SOURCES = tests/unit/test_diverged.c
tests_unit_test_diverged_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_claim
tests_unit_test_claim_SOURCES = tests/unit/test_claim.c tests/unit/failover_world.c tests/unit/failover_world.h \
	tests/unit/fake_server.c tests/unit/fake_server.h
tests_unit_test_claim_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_takeover
tests_unit_test_takeover_SOURCES = tests/unit/test_takeover.c tests/unit/failover_world.c tests/unit/failover_world.h \
	tests/unit/fake_server.c tests/unit/fake_server.h
tests_unit_test_takeover_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_takeover_hosts
tests_unit_test_takeover_hosts_SOURCES = tests/unit/test_takeover_hosts.c tests/unit/failover_world.c \
	tests/unit/failover_world.h tests/unit/fake_server.c tests/unit/fake_server.h
tests_unit_test_takeover_hosts_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_redis_data
tests_unit_test_redis_data_SOURCES = tests/unit/test_redis_data.c tests/unit/scratch.h
tests_unit_test_redis_data_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_manifest
tests_unit_test_manifest_SOURCES = tests/unit/test_manifest.c tests/unit/scratch.h
tests_unit_test_manifest_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_module_set
tests_unit_test_module_set_SOURCES = tests/unit/test_module_set.c tests/unit/scratch.h
tests_unit_test_module_set_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_backup
tests_unit_test_backup_SOURCES = tests/unit/test_backup.c tests/unit/scratch.h
tests_unit_test_backup_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)

unit_tests += tests/unit/test_module_trial
tests_unit_test_module_trial_SOURCES = tests/unit/test_module_trial.c tests/unit/loop_until.h tests/unit/scratch.h
tests_unit_test_module_trial_LDADD = $(LIBS_INSTANCE) $(UNIT_LIBS)
