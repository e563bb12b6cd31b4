noinst_LIBRARIES += src/cli/libcli.a
src_cli_libcli_a_SOURCES = \
	src/cli/ask.c \
	src/cli/backup.c \
	src/cli/cert.c src/cli/cert_files.c src/cli/cert_files.h \
	src/cli/check.c src/cli/check.h \
	src/cli/check_folders.c \
	src/cli/check_good.c \
	src/cli/check_listeners.c \
	src/cli/check_modules.c \
	src/cli/check_programs.c \
	src/cli/check_tls.c \
	src/cli/cli.c src/cli/cli.h src/cli/cli_priv.h src/cli/commands.def \
	src/cli/completion.c \
	src/cli/config.c \
	src/cli/control.c \
	src/cli/debug.c \
	src/cli/events.c \
	src/cli/http.c \
	src/cli/invite.c \
	src/cli/join.c src/cli/join.h src/cli/join_talk.c \
	src/cli/logs.c \
	src/cli/modules.c \
	src/cli/opts.c src/cli/options.def \
	src/cli/owner.c \
	src/cli/proxy.c \
	src/cli/redis_cli.c \
	src/cli/restore.c \
	src/cli/run.c \
	src/cli/status.c src/cli/status_text.c src/cli/status_text.h \
	src/cli/upgrade.c \
	src/cli/version.c \
	src/cli/webdis.c \
	src/cli/worker.c src/cli/worker.h

# Says what commands.def, options.def and the events say; tests/lint/check_man.py compares.
dist_man_MANS += etc/man/holdfast.8
