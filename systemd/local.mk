# What systemd reads. The two units share what stands in service.in. `make install` puts a configuration where the unit
# looks for it, unless there is one: the sample, in which every line is a comment.
systemd_in = systemd/holdfast.service.in systemd/holdfast@.service.in
EXTRA_DIST += $(systemd_in) systemd/service.in systemd/sysusers.conf systemd/tmpfiles.conf

nodist_systemdsystemunit_DATA = systemd/holdfast.service systemd/holdfast@.service
CLEANFILES += $(nodist_systemdsystemunit_DATA)
systemd/holdfast.service: systemd/holdfast.service.in
systemd/holdfast@.service: systemd/holdfast@.service.in
$(nodist_systemdsystemunit_DATA): systemd/service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd && \
		$(SED) -e '/^@SERVICE@$$/{r $(srcdir)/systemd/service.in' -e 'd;}' \
		-e 's|@bindir[@]|$(bindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
		$(srcdir)/$@.in >$@.tmp && mv $@.tmp $@

sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
confdir = $(sysconfdir)/holdfast
install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(sysusersdir)' '$(DESTDIR)$(tmpfilesdir)' '$(DESTDIR)$(confdir)'
	$(INSTALL_DATA) $(srcdir)/systemd/sysusers.conf '$(DESTDIR)$(sysusersdir)/holdfast.conf'
	$(INSTALL_DATA) $(srcdir)/systemd/tmpfiles.conf '$(DESTDIR)$(tmpfilesdir)/holdfast.conf'
	test -e '$(DESTDIR)$(confdir)/holdfast.ini' || \
		$(INSTALL_DATA) $(srcdir)/etc/holdfast.ini '$(DESTDIR)$(confdir)/holdfast.ini'
# A configuration that somebody has changed stays.
uninstall-local:
	rm -f '$(DESTDIR)$(sysusersdir)/holdfast.conf' '$(DESTDIR)$(tmpfilesdir)/holdfast.conf'
	if cmp -s $(srcdir)/etc/holdfast.ini '$(DESTDIR)$(confdir)/holdfast.ini'; then \
		rm -f '$(DESTDIR)$(confdir)/holdfast.ini'; fi
	rmdir '$(DESTDIR)$(confdir)' 2>/dev/null || :
# The folders that were only ours; what somebody else has put there stays.
uninstall-hook:
	rmdir '$(DESTDIR)$(pkgdatadir)/modules' '$(DESTDIR)$(pkgdatadir)' '$(DESTDIR)$(docdir)' 2>/dev/null || :
