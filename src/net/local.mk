noinst_LIBRARIES += src/net/libnet.a
src_net_libnet_a_SOURCES = \
	src/net/cidr.c src/net/cidr.h \
	src/net/conn.c src/net/conn.h src/net/conn_handshake.c src/net/conn_priv.h \
	src/net/endpoint.c src/net/endpoint.h \
	src/net/listener.c src/net/listener.h \
	src/net/loop.c src/net/loop.h \
	src/net/proxied.c src/net/proxied.h \
	src/net/tls.c src/net/tls.h src/net/tls_context.c src/net/tls_sessions.c src/net/tls_priv.h \
	src/net/tls_issue.c src/net/tls_issue.h \
	src/net/tls_shared.c src/net/tls_shared.h
