# Unit tests of src/resp
unit_tests += tests/unit/test_resp_request
tests_unit_test_resp_request_SOURCES = tests/unit/test_resp_request.c
tests_unit_test_resp_request_LDADD = $(LIBS_RESP) $(UNIT_LIBS)

unit_tests += tests/unit/test_resp_reply
tests_unit_test_resp_reply_SOURCES = tests/unit/test_resp_reply.c
tests_unit_test_resp_reply_LDADD = $(LIBS_RESP) $(UNIT_LIBS)

unit_tests += tests/unit/test_resp_reader
tests_unit_test_resp_reader_SOURCES = tests/unit/test_resp_reader.c
tests_unit_test_resp_reader_LDADD = $(LIBS_RESP) $(UNIT_LIBS)
