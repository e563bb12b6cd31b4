# Unit tests of src/http
unit_tests += tests/unit/test_http_reader
tests_unit_test_http_reader_SOURCES = tests/unit/test_http_reader.c
tests_unit_test_http_reader_LDADD = $(LIBS_HTTP) $(UNIT_LIBS)

unit_tests += tests/unit/test_http_response
tests_unit_test_http_response_SOURCES = tests/unit/test_http_response.c
tests_unit_test_http_response_LDADD = $(LIBS_HTTP) $(UNIT_LIBS)

unit_tests += tests/unit/test_http_uri
tests_unit_test_http_uri_SOURCES = tests/unit/test_http_uri.c
tests_unit_test_http_uri_LDADD = $(LIBS_HTTP) $(UNIT_LIBS)
