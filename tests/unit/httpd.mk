# Unit tests of src/httpd
unit_tests += tests/unit/test_httpd_render
tests_unit_test_httpd_render_SOURCES = tests/unit/test_httpd_render.c
tests_unit_test_httpd_render_LDADD = $(LIBS_HTTPD) $(UNIT_LIBS)
