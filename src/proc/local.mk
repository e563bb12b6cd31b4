noinst_LIBRARIES += src/proc/libproc.a
src_proc_libproc_a_SOURCES = \
	src/proc/become.c src/proc/become.h \
	src/proc/capture.c src/proc/capture.h \
	src/proc/ending.c src/proc/ending.h \
	src/proc/logfile.c src/proc/logfile.h \
	src/proc/notify.c src/proc/notify.h \
	src/proc/output.c src/proc/output.h \
	src/proc/process.c src/proc/process.h \
	src/proc/procfs.c src/proc/procfs.h \
	src/proc/spawn.c src/proc/spawn.h
