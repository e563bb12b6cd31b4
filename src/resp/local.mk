noinst_LIBRARIES += src/resp/libresp.a
src_resp_libresp_a_SOURCES =
