noinst_LIBRARIES += src/instance/libinstance.a
src_instance_libinstance_a_SOURCES = \
	src/instance/acquaint.c src/instance/acquaint.h \
	src/instance/backup.c src/instance/backup.h \
	src/instance/restore.c src/instance/restore.h \
	src/instance/claim.c src/instance/claim.h \
	src/instance/conf_file.c src/instance/conf_file.h \
	src/instance/diverged.c src/instance/diverged.h \
	src/instance/failover.c src/instance/failover.h src/instance/failover_priv.h \
	src/instance/failover_drain.c src/instance/failover_ends.c src/instance/failover_freeze.c \
	src/instance/failover_look.c \
	src/instance/failover_steps.c \
	src/instance/failover_vote.c \
	src/instance/hello.c src/instance/hello.h \
	src/instance/manifest.c src/instance/manifest.h \
	src/instance/module_file.c src/instance/module_file.h \
	src/instance/module_judge.c \
	src/instance/module_list.c src/instance/module_list.h \
	src/instance/module_set.c src/instance/module_set.h \
	src/instance/module_show.c src/instance/module_show.h \
	src/instance/module_trial.c src/instance/module_trial.h \
	src/instance/probe.c src/instance/probe.h \
	src/instance/redis_conf.c src/instance/redis_conf.h \
	src/instance/redis_data.c src/instance/redis_data.h \
	src/instance/sentinel_conf.c src/instance/sentinel_conf.h \
	src/instance/vote.c src/instance/vote.h

# The catalogue, beside the program in a build tree (configure.ac links it), in the package's folder once installed.
modulesdir = $(pkgdatadir)/modules
dist_modules_DATA = \
	modules/README.md \
	modules/ai.ini modules/bloom.ini modules/falkordb.ini modules/gears.ini modules/gears-2.ini modules/graph.ini \
	modules/rediscompat.ini modules/rejson.ini modules/search.ini modules/search-1.ini modules/timeseries.ini \
	modules/valkey-bloom.ini modules/valkey-json.ini modules/valkey-ldap.ini modules/valkey-search.ini \
	modules/vectorset.ini
