noinst_LIBRARIES += src/topo/libtopo.a
src_topo_libtopo_a_SOURCES =
