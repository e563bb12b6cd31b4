# Unit tests of src/httpd
unit_tests += tests/unit/test_httpd_access
tests_unit_test_httpd_access_SOURCES = tests/unit/test_httpd_access.c tests/unit/golden.h
tests_unit_test_httpd_access_LDADD = $(LIBS_HTTPD) $(UNIT_LIBS)
EXTRA_DIST += tests/unit/golden/http_session.fsm

unit_tests += tests/unit/test_httpd_acl
tests_unit_test_httpd_acl_SOURCES = tests/unit/test_httpd_acl.c
tests_unit_test_httpd_acl_LDADD = $(LIBS_HTTPD) $(UNIT_LIBS)

unit_tests += tests/unit/test_httpd_call
tests_unit_test_httpd_call_SOURCES = tests/unit/test_httpd_call.c
tests_unit_test_httpd_call_LDADD = $(LIBS_HTTPD) $(UNIT_LIBS)

unit_tests += tests/unit/test_httpd_render
tests_unit_test_httpd_render_SOURCES = tests/unit/test_httpd_render.c
tests_unit_test_httpd_render_LDADD = $(LIBS_HTTPD) $(UNIT_LIBS)

unit_tests += tests/unit/test_httpd_typed
tests_unit_test_httpd_typed_SOURCES = tests/unit/test_httpd_typed.c
tests_unit_test_httpd_typed_LDADD = $(LIBS_HTTPD) $(UNIT_LIBS)

unit_tests += tests/unit/test_httpd_monline
tests_unit_test_httpd_monline_SOURCES = tests/unit/test_httpd_monline.c
tests_unit_test_httpd_monline_LDADD = $(LIBS_HTTPD) $(UNIT_LIBS)

unit_tests += tests/unit/test_httpd_cookie
tests_unit_test_httpd_cookie_SOURCES = tests/unit/test_httpd_cookie.c
tests_unit_test_httpd_cookie_LDADD = $(LIBS_HTTPD) $(UNIT_LIBS)
