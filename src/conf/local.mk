noinst_LIBRARIES += src/conf/libconf.a
src_conf_libconf_a_SOURCES = \
	src/conf/conf.h src/conf/options.def src/conf/conf_priv.h \
	src/conf/docs_priv.h \
	src/conf/build.c \
	src/conf/conf.c \
	src/conf/diff.c \
	src/conf/directives.c \
	src/conf/docs.c \
	src/conf/docs_man.c \
	src/conf/environ.c \
	src/conf/faults.c \
	src/conf/find.c \
	src/conf/gather.c \
	src/conf/hosts.c \
	src/conf/initext.c \
	src/conf/modules.c \
	src/conf/readfile.c \
	src/conf/setting.c \
	src/conf/share.c \
	src/conf/table.c \
	src/conf/value.c \
	src/conf/verify.c src/conf/verify_acl.c src/conf/verify_announce.c src/conf/verify_site.c \
	src/conf/verify_tls.c
