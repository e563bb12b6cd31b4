noinst_LIBRARIES += src/instance/libinstance.a
src_instance_libinstance_a_SOURCES = \
	src/instance/claim.c src/instance/claim.h \
	src/instance/conf_file.c src/instance/conf_file.h \
	src/instance/failover.c src/instance/failover.h src/instance/failover_priv.h \
	src/instance/failover_drain.c \
	src/instance/failover_look.c \
	src/instance/failover_steps.c \
	src/instance/failover_vote.c \
	src/instance/hello.c src/instance/hello.h \
	src/instance/probe.c src/instance/probe.h \
	src/instance/redis_conf.c src/instance/redis_conf.h \
	src/instance/redis_data.c src/instance/redis_data.h \
	src/instance/sentinel_conf.c src/instance/sentinel_conf.h \
	src/instance/vote.c src/instance/vote.h
