// The page as files: dist/index.html and, named by a hash of their content, its script, style sheet and icon; and all of
// them compressed in dist/assets.inc, for the compiler.
//   node build.mjs           dist/ anew; --out DIR: there instead
//   node build.mjs --watch   again whenever a source changes
//   node build.mjs --test    dist-test/*.test.mjs, for node's own test runner
// Nothing is fetched: everything comes from node_modules and this folder.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const outAt = process.argv.indexOf('--out');
const OUT = outAt > 0 ? resolve(process.argv[outAt + 1]) : join(here, 'dist');
const LIMIT_BYTES = 120 * 1024; // all of it, gzip; the page is for a person on call, perhaps on a phone

const common = {
	absWorkingDir: here,
	bundle: true,
	charset: 'utf8',
	format: 'esm',
	jsx: 'automatic',
	jsxImportSource: 'preact',
	legalComments: 'none',
	logLevel: 'warning',
	target: 'es2021',
};

function hashed(stem, ext, bytes) {
	return `${stem}-${createHash('sha256').update(bytes).digest('hex').slice(0, 10)}.${ext}`;
}

function write(result) {
	const out = OUT;
	const js = result.outputFiles.find(f => f.path.endsWith('.js')).contents;
	const css = result.outputFiles.find(f => f.path.endsWith('.css')).contents;
	const svg = readFileSync(join(here, 'icon.svg'));
	const names = { 'app.js': hashed('app', 'js', js), 'app.css': hashed('app', 'css', css), 'icon.svg': hashed('icon', 'svg', svg) };
	let html = readFileSync(join(here, 'index.html'), 'utf8');
	for (const [from, to] of Object.entries(names)) {
		html = html.replaceAll(`"${from}"`, `"${to}"`);
	}
	rmSync(out, { recursive: true, force: true });
	mkdirSync(out, { recursive: true });
	const files = { 'index.html': Buffer.from(html), [names['app.js']]: js, [names['app.css']]: css, [names['icon.svg']]: svg };
	let total = 0;
	let c = '/* Made by src/ui/build.mjs: the rows of the table in src/httpd/assets.c. */\n';
	for (const [name, bytes] of Object.entries(files)) {
		const gzip = gzipSync(bytes, { level: 9 });
		const size = gzip.length;
		total += size;
		const tag = createHash('md5').update(gzip).digest('hex');
		const rows = gzip.toString('hex').match(/.{1,64}/g).map(r => `\t"${r.replace(/../g, '\\x$&')}"`).join('\n');
		c += `{"${name}", "${TYPES[extname(name)]}", (const uint8_t *)\n${rows},\n ${size}, ${bytes.length}, "${tag}", ${name !== 'index.html'}},\n`;
		writeFileSync(join(out, name), bytes);
		console.log(`${name.padEnd(24)} ${String(bytes.length).padStart(7)} bytes, ${String(size).padStart(6)} gzip`);
	}
	writeFileSync(join(out, 'assets.inc'), c);
	console.log(`${'together'.padEnd(24)} ${String(total).padStart(22)} gzip of ${LIMIT_BYTES}`);
	if (total > LIMIT_BYTES) {
		throw new Error(`the page is ${total} bytes gzip, more than ${LIMIT_BYTES}: leave something out`);
	}
}

if (process.argv.includes('--test')) {
	const out = join(here, 'dist-test');
	rmSync(out, { recursive: true, force: true });
	const tests = readdirSync(join(here, 'test')).filter(f => f.endsWith('.test.ts'));
	await esbuild.build({
		...common, entryPoints: tests.map(f => join(here, 'test', f)), outdir: out, outExtension: { '.js': '.mjs' },
		platform: 'node', target: 'node18', external: ['node:*'],
	});
} else {
	const options = {
		...common, entryPoints: [join(here, 'src/app.tsx')], outfile: join(here, 'dist/app.js'), minify: true, write: false,
		plugins: [{ name: 'write', setup: b => b.onEnd(r => { if (r.errors.length === 0) { write(r); } }) }],
	};
	if (process.argv.includes('--watch')) {
		await (await esbuild.context(options)).watch();
	} else {
		await esbuild.build(options);
	}
}
