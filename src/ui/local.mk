# The operator's page (TypeScript). In a git checkout npm and esbuild make src/ui/dist from it, in the source folder; a tarball brings
# that, and needs neither. `npm ci && npm run check` in src/ui checks types, lints and tests its pure parts.
ui_sources = \
	src/ui/biome.json \
	src/ui/build.mjs \
	src/ui/icon.svg \
	src/ui/index.html \
	src/ui/package-lock.json \
	src/ui/package.json \
	src/ui/src/api/client.ts \
	src/ui/src/api/types.ts \
	src/ui/src/app.tsx \
	src/ui/src/core/bin.ts \
	src/ui/src/core/docs.ts \
	src/ui/src/core/format.ts \
	src/ui/src/core/health.ts \
	src/ui/src/core/hosts.ts \
	src/ui/src/core/json.ts \
	src/ui/src/core/keystore.ts \
	src/ui/src/core/map.ts \
	src/ui/src/core/memory.ts \
	src/ui/src/core/msgpack.ts \
	src/ui/src/core/reply.ts \
	src/ui/src/core/series.ts \
	src/ui/src/core/timeseries.ts \
	src/ui/src/core/tree.ts \
	src/ui/src/core/vlist.ts \
	src/ui/src/core/words.ts \
	src/ui/src/css.d.ts \
	src/ui/src/parts/chart.tsx \
	src/ui/src/parts/parts.tsx \
	src/ui/src/parts/vlist.tsx \
	src/ui/src/state.ts \
	src/ui/src/style.css \
	src/ui/src/views/browser.tsx \
	src/ui/src/views/bulk.tsx \
	src/ui/src/views/cluster.tsx \
	src/ui/src/views/console.tsx \
	src/ui/src/views/key.tsx \
	src/ui/src/views/memory.tsx \
	src/ui/src/views/metrics.tsx \
	src/ui/src/views/module.tsx \
	src/ui/src/views/replytree.tsx \
	src/ui/src/views/scan.ts \
	src/ui/src/views/stream.tsx \
	src/ui/src/views/string.tsx \
	src/ui/src/views/tools.tsx \
	src/ui/src/views/values.tsx \
	src/ui/test/bytes.test.ts \
	src/ui/test/figures.test.ts \
	src/ui/test/hosts.test.ts \
	src/ui/test/lists.test.ts \
	src/ui/test/modules.test.ts \
	src/ui/test/node.d.ts \
	src/ui/test/reply.test.ts \
	src/ui/test/text.test.ts \
	src/ui/tsconfig.json \
	src/ui/.npmrc
EXTRA_DIST += $(ui_sources)

if WITH_UI
EXTRA_DIST += src/ui/dist/assets.inc
BUILT_SOURCES += $(srcdir)/src/ui/dist/assets.inc
src/httpd/assets.$(OBJEXT): $(srcdir)/src/ui/dist/assets.inc
endif
if BUILD_UI
$(srcdir)/src/ui/dist/assets.inc: $(ui_sources)
	@echo '  NPM      src/ui/dist'
	@cd $(srcdir)/src/ui && \
		{ test node_modules/.package-lock.json -nt package-lock.json || $(NPM) ci --omit=dev --no-audit --no-fund --no-progress --loglevel=error >&2; } && \
		$(NPM) run --loglevel=error build >/dev/null
endif
