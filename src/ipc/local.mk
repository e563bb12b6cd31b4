noinst_LIBRARIES += src/ipc/libipc.a
src_ipc_libipc_a_SOURCES = src/ipc/channel.c src/ipc/channel.h src/ipc/rejoin.c src/ipc/rejoin.h \
	src/ipc/share.c src/ipc/share.h
