# Highest room first, as a linker reads archives.
LIBS_BASE = src/base/libbase.a
LIBS_NET = src/net/libnet.a $(LIBS_BASE)
LIBS_RESP = src/resp/libresp.a $(LIBS_NET)
LIBS_HTTP = src/http/libhttp.a $(LIBS_NET)
LIBS_CONF = src/conf/libconf.a src/resp/libresp.a src/http/libhttp.a $(LIBS_NET)
LIBS_STORE = src/store/libstore.a src/resp/libresp.a src/http/libhttp.a $(LIBS_NET)
LIBS_PROC = src/proc/libproc.a src/resp/libresp.a src/http/libhttp.a $(LIBS_NET)
LIBS_IPC = src/ipc/libipc.a src/resp/libresp.a src/http/libhttp.a $(LIBS_NET)
LIBS_CTL = src/ctl/libctl.a src/resp/libresp.a src/http/libhttp.a $(LIBS_NET)
LIBS_TOPO = src/topo/libtopo.a src/conf/libconf.a src/store/libstore.a src/proc/libproc.a src/ipc/libipc.a src/ctl/libctl.a \
	src/resp/libresp.a src/http/libhttp.a $(LIBS_NET)
LIBS_BACKEND = src/backend/libbackend.a $(LIBS_TOPO)
LIBS_INSTANCE = src/instance/libinstance.a $(LIBS_BACKEND)
LIBS_PROXY = src/proxy/libproxy.a $(LIBS_BACKEND)
LIBS_HTTPD = src/httpd/libhttpd.a $(LIBS_BACKEND)
LIBS_FEATURES = src/instance/libinstance.a src/proxy/libproxy.a src/httpd/libhttpd.a $(LIBS_BACKEND)
LIBS_SUPERVISOR = src/supervisor/libsupervisor.a $(LIBS_FEATURES)
LIBS_CLI = src/cli/libcli.a $(LIBS_SUPERVISOR)
LIBS_SYSTEM = $(LIBS_HOLDFAST) $(HIREDIS_LIBS) $(INIH_LIBS) $(SQLITE_LIBS) $(JANSSON_LIBS) $(LLHTTP_LIBS) \
	$(MSGPACK_LIBS) $(ZLIB_LIBS) $(OPENSSL_LIBS) -lm

bin_PROGRAMS += holdfast
holdfast_SOURCES = src/main.c
holdfast_LDADD = $(LIBS_CLI) $(LIBS_SYSTEM)
