noinst_LIBRARIES += src/supervisor/libsupervisor.a
src_supervisor_libsupervisor_a_SOURCES =
