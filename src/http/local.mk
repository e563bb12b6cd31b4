noinst_LIBRARIES += src/http/libhttp.a
src_http_libhttp_a_SOURCES = \
	src/http/base64.c src/http/base64.h \
	src/http/chunked.c src/http/chunked.h \
	src/http/gzip.c src/http/gzip.h \
	src/http/md5.c src/http/md5.h \
	src/http/parser.c src/http/parser.h \
	src/http/reader.c src/http/reader.h \
	src/http/response.c src/http/response.h src/http/status.def \
	src/http/tagmemo.c src/http/tagmemo.h \
	src/http/uri.c src/http/uri.h \
	src/http/websocket.c src/http/websocket.h
