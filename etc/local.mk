# Documents that are made of the option table (src/conf/options.def): `make update-docs` after a change there. The sample
# is a document, not a configuration: installing never touches what stands in /etc.
dist_man_MANS += etc/man/holdfast.conf.5
dist_man_MANS += etc/man/holdfast-api.7 etc/man/holdfast-internals.7
# the description of /api/v1 that a test holds against the answers; alerts and a dashboard for /metrics, likewise (tests/lint/check_metrics.py)
dist_doc_DATA = etc/holdfast.ini etc/openapi.json \
	etc/prometheus/holdfast.rules.yml etc/grafana/holdfast-dashboard.json

update-docs: holdfast$(EXEEXT)
	./holdfast$(EXEEXT) debug options ini >$(srcdir)/etc/holdfast.ini.tmp && \
		mv $(srcdir)/etc/holdfast.ini.tmp $(srcdir)/etc/holdfast.ini
	$(MKDIR_P) $(srcdir)/etc/man
	./holdfast$(EXEEXT) debug options man >$(srcdir)/etc/man/holdfast.conf.5.tmp && \
		mv $(srcdir)/etc/man/holdfast.conf.5.tmp $(srcdir)/etc/man/holdfast.conf.5
	$(MKDIR_P) $(srcdir)/etc/completion
	./holdfast$(EXEEXT) debug completion bash >$(srcdir)/etc/completion/holdfast.tmp && \
		mv $(srcdir)/etc/completion/holdfast.tmp $(srcdir)/etc/completion/holdfast
	./holdfast$(EXEEXT) debug completion zsh >$(srcdir)/etc/completion/_holdfast.tmp && \
		mv $(srcdir)/etc/completion/_holdfast.tmp $(srcdir)/etc/completion/_holdfast
.PHONY: update-docs

# Completion for bash and zsh, of the tables of subcommands and options; likewise.
bashcompdir = $(datadir)/bash-completion/completions
dist_bashcomp_DATA = etc/completion/holdfast
zshcompdir = $(datadir)/zsh/site-functions
dist_zshcomp_DATA = etc/completion/_holdfast
