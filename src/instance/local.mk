noinst_LIBRARIES += src/instance/libinstance.a
src_instance_libinstance_a_SOURCES =
