noinst_LIBRARIES += src/resp/libresp.a
src_resp_libresp_a_SOURCES = \
	src/resp/reader.h \
	src/resp/reply.h \
	src/resp/request.h \
	src/resp/write.h
