noinst_LIBRARIES += src/resp/libresp.a
src_resp_libresp_a_SOURCES = \
	src/resp/reader.c src/resp/reader.h \
	src/resp/reply.c src/resp/reply.h \
	src/resp/request.c src/resp/request.h \
	src/resp/write.c src/resp/write.h
