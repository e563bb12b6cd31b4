noinst_LIBRARIES += src/store/libstore.a
src_store_libstore_a_SOURCES = \
	src/store/events.c src/store/events.def src/store/samples.c src/store/schema.c src/store/store.c src/store/store.h \
	src/store/store_priv.h src/store/tables.c
