noinst_LIBRARIES += src/supervisor/libsupervisor.a
src_supervisor_libsupervisor_a_SOURCES = \
	src/supervisor/backup.c \
	src/supervisor/agree.c \
	src/supervisor/asked.c \
	src/supervisor/control.c \
	src/supervisor/crowd.c \
	src/supervisor/damage.c \
	src/supervisor/decision.c src/supervisor/decision.h \
	src/supervisor/doors.c \
	src/supervisor/figures.c \
	src/supervisor/handover.c \
	src/supervisor/health.c \
	src/supervisor/history.c src/supervisor/history.h \
	src/supervisor/hosts.c src/supervisor/hosts_priv.h \
	src/supervisor/hosts_modules.c src/supervisor/hosts_switch.c src/supervisor/hosts_tls.c src/supervisor/members.c \
	src/supervisor/lastwords.c \
	src/supervisor/legacy.c src/supervisor/legacy.h \
	src/supervisor/loaded.c \
	src/supervisor/lock.c src/supervisor/lock.h \
	src/supervisor/modules.c \
	src/supervisor/ondisk.c \
	src/supervisor/parting.c \
	src/supervisor/place.c \
	src/supervisor/picture.c \
	src/supervisor/plan.c \
	src/supervisor/rejoin.c \
	src/supervisor/relocate.c \
	src/supervisor/reload.c \
	src/supervisor/remote.c \
	src/supervisor/removal.c \
	src/supervisor/resume.c \
	src/supervisor/ring.c src/supervisor/ring.h \
	src/supervisor/roles.c \
	src/supervisor/rolling.c \
	src/supervisor/seal.c src/supervisor/seal.h \
	src/supervisor/series.c src/supervisor/series.h \
	src/supervisor/servers.c \
	src/supervisor/service.c \
	src/supervisor/suspect.c \
	src/supervisor/succession.c \
	src/supervisor/supervisor.c src/supervisor/supervisor.h src/supervisor/supervisor_priv.h \
	src/supervisor/talk.c src/supervisor/talk.h \
	src/supervisor/timeline.c \
	src/supervisor/unit.c \
	src/supervisor/upgrade.c \
	src/supervisor/usage.c src/supervisor/usage.h \
	src/supervisor/voice.c \
	src/supervisor/watch.c \
	src/supervisor/workers.c
