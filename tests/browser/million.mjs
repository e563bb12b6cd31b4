// A million keys: SCAN in steps that can be stopped and continued, few rows in the document, both ends reached.
import { ask, check, LONG, open, same, scenario } from './lib.mjs';

scenario(async browser => {
	const figures = {};
	const page = await open(browser);
	await page.go('#/browser');
	await page.waitForSelector('.v-row');
	const foot = () => page.textContent('.keys-foot span');
	await page.waitForFunction(() => /2,\d{3} found/.test(document.querySelector('.keys-foot').textContent));
	await page.getByRole('button', { name: 'All', exact: true }).click();
	await page.getByRole('button', { name: 'Stop', exact: true }).click();
	await page.getByRole('button', { name: 'More', exact: true }).waitFor();
	const stopped = await foot();
	check(!stopped.includes('1,000,0'), `it stops amid the keys: ${stopped}`);
	same(await foot(), stopped, 'and stays so');
	const begun = Date.now();
	await page.getByRole('button', { name: 'All', exact: true }).click();
	await page.waitForFunction(() => /1,0\d\d,\d{3} found of/.test(document.querySelector('.keys-foot').textContent), null, { timeout: LONG * 4 });
	figures.scan_ms = Date.now() - begun;
	await page.getByLabel('List', { exact: true }).check({ force: true });
	await page.waitForFunction(() => document.querySelector('[role=listbox]'));
	// frames while it is scrolled, each step a wheel's
	await page.locator('.vlist').hover();
	await page.evaluate(() => {
		window.frames_ = [];
		let last = performance.now();
		const f = t => { window.frames_.push(t - last); last = t; if (window.frames_.length < 400) { requestAnimationFrame(f); } };
		requestAnimationFrame(f);
	});
	for (let i = 0; i < 60; i++) {
		await page.mouse.wheel(0, 300);
	}
	const frames = (await page.evaluate(() => window.frames_)).slice(1).sort((a, b) => a - b);
	figures.frame_p95_ms = Math.round(frames[Math.floor(frames.length * 0.95)] ?? 0);
	const rows = await page.locator('.v-row').count();
	check(rows > 10 && rows < 120, `${rows} rows in the document`);
	await page.locator('.vlist').focus();
	await page.keyboard.press('End');
	await page.waitForFunction(() => { const r = [...document.querySelectorAll('.v-row')].pop(); return r && r.getAttribute('aria-posinset') === r.getAttribute('aria-setsize'); });
	await page.keyboard.press('Home');
	await page.waitForFunction(() => document.querySelector('.v-row')?.getAttribute('aria-posinset') === '1');
	await page.getByLabel('Tree', { exact: true }).check({ force: true });
	await page.waitForFunction(() => [...document.querySelectorAll('.v-row')].some(r => /many:\s*1,000,000/.test(r.textContent)));
	await page.locator('.v-row', { hasText: 'many:' }).click();
	await page.waitForFunction(() => Number(document.querySelector('.v-row').getAttribute('aria-setsize')) > 1e6);
	await page.shot('million');
	figures.heap_mb = await page.evaluate(() => Math.round((performance.memory?.usedJSHeapSize ?? 0) / 1e6));
	figures.scan = (await ask('scan-cost')).text;
	page.quiet('a million keys');
	return figures;
});
