noinst_LIBRARIES += src/proxy/libproxy.a
src_proxy_libproxy_a_SOURCES = \
	src/proxy/clients.c src/proxy/durable.c src/proxy/held.c src/proxy/held.h \
	src/proxy/lasting.c src/proxy/multi.c src/proxy/own.c \
	src/proxy/proxy.c src/proxy/proxy.h src/proxy/proxy_priv.h \
	src/proxy/queued.c src/proxy/raw.c \
	src/proxy/script.c \
	src/proxy/session.c \
	src/proxy/state.c \
	src/proxy/subs.c src/proxy/subs.h \
	src/proxy/unblock.c
