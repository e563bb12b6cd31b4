noinst_LIBRARIES += src/httpd/libhttpd.a
src_httpd_libhttpd_a_SOURCES =
