noinst_LIBRARIES += src/base/libbase.a
src_base_libbase_a_SOURCES = \
	src/base/buf.c src/base/buf.h \
	src/base/clock.c src/base/clock.h \
	src/base/defs.h \
	src/base/errmsg.c src/base/errmsg.h \
	src/base/fsm.c src/base/fsm.h \
	src/base/jsontext.c src/base/jsontext.h \
	src/base/list.h \
	src/base/log.c src/base/log.h \
	src/base/mem.c src/base/mem.h \
	src/base/nearest.c src/base/nearest.h \
	src/base/slice.c src/base/slice.h \
	src/base/sorted.c src/base/sorted.h
