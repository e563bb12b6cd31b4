# Documents that are made of the option table (src/conf/options.def): `make update-docs` after a change there. The sample
# is a document, not a configuration: installing never touches what stands in /etc.
dist_man_MANS += etc/man/holdfast.conf.5
dist_doc_DATA = etc/holdfast.ini

update-docs: holdfast$(EXEEXT)
	./holdfast$(EXEEXT) debug options ini >$(srcdir)/etc/holdfast.ini.tmp && \
		mv $(srcdir)/etc/holdfast.ini.tmp $(srcdir)/etc/holdfast.ini
	$(MKDIR_P) $(srcdir)/etc/man
	./holdfast$(EXEEXT) debug options man >$(srcdir)/etc/man/holdfast.conf.5.tmp && \
		mv $(srcdir)/etc/man/holdfast.conf.5.tmp $(srcdir)/etc/man/holdfast.conf.5
.PHONY: update-docs
