noinst_LIBRARIES += src/httpd/libhttpd.a
src_httpd_libhttpd_a_SOURCES = \
	src/httpd/access.c src/httpd/access.h \
	src/httpd/accesslog.c src/httpd/accesslog.h \
	src/httpd/acl.c src/httpd/acl.h \
	src/httpd/answer.c src/httpd/answer.h \
	src/httpd/assets.c src/httpd/assets.h \
	src/httpd/api.c src/httpd/api.h src/httpd/api.def \
	src/httpd/api_ask.c src/httpd/api_ask.h \
	src/httpd/api_command.c src/httpd/api_command.h \
	src/httpd/api_keys.c \
	src/httpd/api_monitor.c \
	src/httpd/api_session.c \
	src/httpd/api_subscribe.c \
	src/httpd/live.c src/httpd/live.h \
	src/httpd/ledger.c src/httpd/ledger.h \
	src/httpd/prom.c src/httpd/prom.def src/httpd/prom.h \
	src/httpd/run.c src/httpd/run.h \
	src/httpd/typed.c src/httpd/typed.h \
	src/httpd/identity.c src/httpd/identity.h \
	src/httpd/sse.c src/httpd/sse.h \
	src/httpd/batch.c src/httpd/batch.h \
	src/httpd/call.c src/httpd/call.h \
	src/httpd/cookie.c src/httpd/cookie.h \
	src/httpd/counts.c src/httpd/counts.h \
	src/httpd/events.c src/httpd/events.h \
	src/httpd/exchange.c src/httpd/exchange.h \
	src/httpd/format.c src/httpd/format.h src/httpd/formats.def \
	src/httpd/httpd.c src/httpd/httpd.h src/httpd/httpd_priv.h \
	src/httpd/hub.c src/httpd/hub.h \
	src/httpd/jsonin.c src/httpd/jsonin.h \
	src/httpd/jsonout.c src/httpd/jsonout.h \
	src/httpd/monline.c src/httpd/monline.h \
	src/httpd/msgout.c src/httpd/msgout.h \
	src/httpd/render.c src/httpd/render.h \
	src/httpd/reply_status.c src/httpd/reply_status.h src/httpd/reply_status.def \
	src/httpd/request.c src/httpd/request.h \
	src/httpd/route.c src/httpd/route.h src/httpd/routes.def \
	src/httpd/send.c \
	src/httpd/session.c src/httpd/session.h src/httpd/session_priv.h \
	src/httpd/session_io.c \
	src/httpd/session_ws.c \
	src/httpd/shape.c src/httpd/shape.h src/httpd/shapes.def \
	src/httpd/site.c src/httpd/site.h \
	src/httpd/stream.c src/httpd/stream.h \
	src/httpd/walk.c src/httpd/walk.h \
	src/httpd/ws.c src/httpd/ws.h

# etc/openapi.json as a string, so that the interface can show its own description.
BUILT_SOURCES += src/httpd/openapi.inc
CLEANFILES += src/httpd/openapi.inc
src/httpd/openapi.inc: $(srcdir)/etc/openapi.json
	$(AM_V_GEN)$(MKDIR_P) src/httpd && $(SED) 's/[\\"]/\\&/g; s/^/"/; s/$$/\\n"/' $(srcdir)/etc/openapi.json >$@.tmp && mv $@.tmp $@
src/httpd/api_session.$(OBJEXT): src/httpd/openapi.inc
