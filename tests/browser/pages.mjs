// Ten pages open at once, each with its own stream, under load: what that costs the worker. And what one weighs on its way.
import { ask, BASE, check, open, scenario } from './lib.mjs';

const COUNT = 10;

scenario(async browser => {
	const before = await ask('worker');
	const first = await open(browser);
	const begun = Date.now();
	await first.goto(`${BASE}#/cluster`);
	await first.waitForSelector('.map .is-master');
	const figures = { first_picture_ms: Date.now() - begun };
	figures.bytes = await first.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
		.filter(e => e.name.includes('/ui/')).reduce((sum, e) => sum + e.transferSize, 0));
	check(figures.bytes > 10000, 'the page was not in a cache');
	const pages = [first];
	await ask('load');
	while (pages.length < COUNT) {
		pages.push(await open(browser));
		await pages.at(-1).go('#/cluster');
	}
	// every one of them is told of each second
	const told = async page => {
		const now = () => page.evaluate(() => document.querySelector('.pulse')?.textContent ?? '');
		for (let n = 0, was = await now(); n < 2; n++) {
			await page.waitForFunction(text => document.querySelector('.pulse')?.textContent !== text, was);
			was = await now();
		}
	};
	await Promise.all(pages.map(told));
	const after = await ask('worker');
	figures.rss_kib = after.rss_kib - before.rss_kib;
	figures.rss_all_kib = after.rss_kib;
	figures.streams = after.fds - before.fds;
	for (const page of pages) {
		page.quiet('one of ten pages');
	}
	return figures;
});
