// What the scenarios share: a browser, a page that must not complain, and a line to the test that started us.
//   node scenario.mjs URL        steps that the test has to take ("ask") go out as lines of JSON, the answer comes in
// The last line is {"done": figures}. Whatever goes wrong ends with a stack on stderr and exit code 1.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

export const BASE = process.argv[2];
const PATIENCE = Number(process.env.HOLDFAST_TEST_PATIENCE ?? '1');
const LATE = Number(process.env.HOLDFAST_TEST_LATE_MS ?? '0'); // each answer of the API comes so much later: shows what a scenario does too early
export const LONG = 30000 * PATIENCE; // a bound for conditions, never a condition

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Has the test do something ("kill-master"), and waits for its word.
export async function ask(what, more = {}) {
	console.log(JSON.stringify({ ask: what, ...more }));
	const { value, done } = await lines.next();
	if (done) {
		throw new Error(`the test has gone while it was asked to ${what}`);
	}
	return JSON.parse(value);
}

export function check(ok, what) {
	if (!ok) {
		throw new Error(`not so: ${what}`);
	}
}

export function same(a, b, what) {
	check(JSON.stringify(a) === JSON.stringify(b), `${what}: ${JSON.stringify(a)} is not ${JSON.stringify(b)}`);
}

// What the page shows, or an answer, comes to be the same. What is asked says it as same() does.
export async function becomes(get, b, what) {
	const end = Date.now() + LONG;
	for (;;) {
		const a = await get();
		if (JSON.stringify(a) === JSON.stringify(b) || Date.now() > end) {
			return same(a, b, what);
		}
		await new Promise(go => setTimeout(go, 20));
	}
}

// A page whose faults count: console errors, exceptions, refused loads, breaches of the Content-Security-Policy, requests elsewhere.
export async function open(browser, options = {}) {
	const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, acceptDownloads: true, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(LONG);
	if (LATE > 0) {
		await page.route('**/api/v1/**', async r => { await new Promise(go => setTimeout(go, LATE)); await r.continue(); });
	}
	const faults = [];
	page.on('console', m => { if (m.type() === 'error' && !options.expect?.test(m.text())) { faults.push(`console: ${m.text()}`); } });
	page.on('pageerror', e => faults.push(`exception: ${e.stack ?? e}`));
	page.on('dialog', d => { faults.push(`dialog: ${d.message()}`); d.dismiss(); });
	page.on('request', r => { if (!r.url().startsWith(BASE) && !/^(data|blob):/.test(r.url()) && !r.url().startsWith(new URL('/api/v1/', BASE).href)) { faults.push(`request elsewhere: ${r.url()}`); } });
	await page.addInitScript(() => addEventListener('securitypolicyviolation', e => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`)));
	page.faults = faults;
	page.go = async hash => {
		await page.goto(BASE + hash);
		await page.waitForSelector('.health h1');
	};
	page.quiet = where => check(faults.length === 0, `${where} is without a fault:\n  ${faults.join('\n  ')}`);
	page.shot = async name => { if (process.env.HOLDFAST_TEST_SHOTS) { await page.screenshot({ path: `${process.env.HOLDFAST_TEST_SHOTS}/${name}.png` }); } };
	return page;
}

export async function scenario(f) {
	const browser = await chromium.launch({
		executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, timeout: LONG * 2,
		args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
	});
	try {
		console.log(JSON.stringify({ done: (await f(browser)) ?? {} }));
	} catch (e) {
		console.error(e.stack ?? e);
		for (const c of browser.contexts()) {
			for (const p of c.pages()) {
				console.error(`at ${p.url()}, which shows:\n${(await p.evaluate(() => document.body.innerText).catch(() => '')).slice(0, 3000)}\nfaults: ${p.faults?.join('\n')}`);
			}
		}
		process.exitCode = 1;
	} finally {
		await browser.close();
		process.stdin.destroy();
	}
}

// Every control has a name that a screen reader can say.
export async function nameless(page) {
	return page.evaluate(() => {
		const out = [];
		for (const e of document.querySelectorAll('button, a[href], input, select, textarea, [role=button], [role=link], [tabindex="0"]')) {
			const label = e.getAttribute('aria-label') || e.getAttribute('title') || e.textContent.trim() || e.labels?.[0]?.textContent.trim() || '';
			if (label === '') {
				out.push(e.outerHTML.slice(0, 160));
			}
		}
		return out;
	});
}

// Text that is too faint before its background (WCAG: 4.5, large text 3). What is drawn or switched off is not looked at.
export async function faint(page) {
	return page.evaluate(() => {
		const parse = text => { const m = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0]; return [m[0], m[1], m[2], m[3] ?? 1]; };
		const light = c => { const [r, g, b] = c.map(x => { const v = x / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
		const behind = e => {
			const layers = [];
			for (let n = e; n; n = n.parentElement) {
				const c = parse(getComputedStyle(n).backgroundColor);
				if (c[3] > 0) { layers.push(c); }
				if (c[3] === 1) { break; }
			}
			return layers.reverse().reduce((under, c) => under.map((u, i) => u * (1 - c[3]) + c[i] * c[3]), [255, 255, 255]);
		};
		const out = new Set();
		for (const e of document.querySelectorAll('body *')) {
			const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim() !== '');
			if (!own || e.closest('svg, :disabled, .unseen') || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) { continue; }
			const s = getComputedStyle(e);
			const c = parse(s.color);
			const b = behind(e);
			const f = b.map((u, i) => u * (1 - c[3]) + c[i] * c[3]);
			const [hi, lo] = [light(f), light(b)].sort((x, y) => y - x);
			const size = parseFloat(s.fontSize);
			const large = size >= 24 || (size >= 18.66 && Number(s.fontWeight) >= 700);
			if ((hi + 0.05) / (lo + 0.05) < (large ? 3 : 4.5)) { out.add(`${e.tagName}.${e.className}: ${((hi + 0.05) / (lo + 0.05)).toFixed(2)}`); }
		}
		return [...out];
	});
}

export async function tooWide(page) {
	return page.evaluate(() => document.scrollingElement.scrollWidth > innerWidth ? `${document.scrollingElement.scrollWidth} px of ${innerWidth}` : null);
}

// The tab that one is at comes to lie within the window.
export async function seesTab(page) {
	await page.waitForFunction(() => [...document.querySelectorAll('.tabs [aria-current]')].every(e => {
		const r = e.getBoundingClientRect();
		return r.left > -1 && r.right < innerWidth + 1;
	}));
}
