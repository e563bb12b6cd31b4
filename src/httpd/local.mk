noinst_LIBRARIES += src/httpd/libhttpd.a
src_httpd_libhttpd_a_SOURCES = \
	src/httpd/format.c src/httpd/format.h src/httpd/formats.def \
	src/httpd/jsonout.c src/httpd/jsonout.h \
	src/httpd/render.c src/httpd/render.h \
	src/httpd/shape.c src/httpd/shape.h src/httpd/shapes.def
