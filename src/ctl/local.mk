noinst_LIBRARIES += src/ctl/libctl.a
src_ctl_libctl_a_SOURCES = \
	src/ctl/call.c src/ctl/call.h src/ctl/client.c src/ctl/commands.def src/ctl/ctl.h src/ctl/ctl_priv.h src/ctl/server.c src/ctl/place.c src/ctl/place.h src/ctl/socket.c \
	src/ctl/table.c
