noinst_LIBRARIES += src/instance/libinstance.a
src_instance_libinstance_a_SOURCES = \
	src/instance/failover.h \
	src/instance/probe.h \
	src/instance/redis_conf.h \
	src/instance/sentinel_conf.h
