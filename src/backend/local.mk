noinst_LIBRARIES += src/backend/libbackend.a
src_backend_libbackend_a_SOURCES = \
	src/backend/arrival.c src/backend/arrival.h \
	src/backend/backend.c src/backend/backend.h src/backend/backend_priv.h \
	src/backend/command.c src/backend/command.h src/backend/commands.def \
	src/backend/confirm.c src/backend/confirm.h \
	src/backend/fsm.h \
	src/backend/lane.c src/backend/lane.h \
	src/backend/master_probe.c \
	src/backend/metrics.c src/backend/metrics.h \
	src/backend/pending.c \
	src/backend/queue.c src/backend/queue.h \
	src/backend/others.c src/backend/others.h \
	src/backend/scripts.c src/backend/scripts.h \
	src/backend/refusal.c src/backend/refusal.h \
	src/backend/replies.c \
	src/backend/requester.c src/backend/requester.h \
	src/backend/wire.c \
	src/backend/readers.c src/backend/readers.h \
	src/backend/sentinel_log.c src/backend/sentinel_log.h \
	src/backend/worker.c src/backend/worker.h src/backend/worker_priv.h \
	src/backend/worker_doors.c src/backend/worker_messages.c
