# Unit tests of src/net
unit_tests += tests/unit/test_endpoint tests/unit/test_loop tests/unit/test_conn \
	tests/unit/test_conn_handshake tests/unit/test_listener tests/unit/test_proxied tests/unit/test_tls tests/unit/test_tls_files \
	tests/unit/test_tls_issue

tests_unit_test_endpoint_SOURCES = tests/unit/test_endpoint.c tests/unit/unit.h
tests_unit_test_endpoint_LDADD = $(LIBS_NET) $(UNIT_LIBS)
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c tests/unit/unit.h
tests_unit_test_loop_LDADD = $(LIBS_NET) $(UNIT_LIBS)
conn_world = tests/unit/conn_world.c tests/unit/conn_world.h tests/unit/unit.h
tests_unit_test_conn_SOURCES = tests/unit/test_conn.c tests/unit/loop_until.h $(conn_world)
tests_unit_test_conn_LDADD = $(LIBS_NET) $(UNIT_LIBS)
tests_unit_test_conn_handshake_SOURCES = tests/unit/test_conn_handshake.c $(conn_world)
tests_unit_test_conn_handshake_LDADD = $(LIBS_NET) $(UNIT_LIBS)
tests_unit_test_listener_SOURCES = tests/unit/test_listener.c tests/unit/loop_until.h tests/unit/unit.h
tests_unit_test_listener_LDADD = $(LIBS_NET) $(UNIT_LIBS)
tls_own = tests/unit/tls_own.h tests/unit/tls_peer.c tests/unit/tls_peer.h tests/unit/scratch.h tests/unit/unit.h
tests_unit_test_tls_SOURCES = tests/unit/test_tls.c $(tls_own)
tests_unit_test_tls_LDADD = $(LIBS_NET) $(UNIT_LIBS)
tests_unit_test_tls_files_SOURCES = tests/unit/test_tls_files.c $(tls_own)
tests_unit_test_tls_files_LDADD = $(LIBS_NET) $(UNIT_LIBS)
tests_unit_test_proxied_SOURCES = tests/unit/test_proxied.c tests/unit/unit.h
tests_unit_test_proxied_LDADD = $(LIBS_NET) $(UNIT_LIBS)
tests_unit_test_tls_issue_SOURCES = tests/unit/test_tls_issue.c tests/unit/unit.h
tests_unit_test_tls_issue_LDADD = $(LIBS_NET) $(UNIT_LIBS)
