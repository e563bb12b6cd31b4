noinst_LIBRARIES += src/backend/libbackend.a
src_backend_libbackend_a_SOURCES = \
	src/backend/backend.h \
	src/backend/command.h \
	src/backend/lane.h \
	src/backend/worker.c src/backend/worker.h
