noinst_LIBRARIES += src/topo/libtopo.a
src_topo_libtopo_a_SOURCES = \
	src/topo/link.c src/topo/link.h \
	src/topo/reply.c src/topo/reply.h \
	src/topo/topo.c src/topo/topo.h \
	src/topo/watcher.c src/topo/watcher.h
