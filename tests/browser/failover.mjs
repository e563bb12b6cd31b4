// The master dies while somebody watches: the picture turns, the sentence comes back, nothing complains.
import { ask, becomes, open, scenario } from './lib.mjs';

scenario(async browser => {
	const page = await open(browser);
	await page.go('#/cluster');
	await page.waitForSelector('.map .is-master');
	const was = await page.getAttribute('.map .is-master', 'data-name');
	await page.evaluate(() => {
		const map = document.querySelector('.map');
		const was_ = map.dataset.master;
		new MutationObserver(() => {
			if (map.dataset.master !== was_ && !window.turned) {
				window.turned = Date.now();
			}
		}).observe(map, { attributes: true });
	});
	const { at_ms } = await ask('kill-master');
	await page.waitForFunction(x => { const m = document.querySelector('.map .is-master'); return m && m.dataset.name !== x; }, was);
	const turned = await (await page.waitForFunction(() => window.turned)).jsonValue();
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('All writes safe on 3 servers'));
	await page.waitForFunction(x => document.querySelector(`.map .node[data-name="${x}"]`)?.dataset.role === 'replica', was);
	await page.waitForFunction(() => document.querySelector('.timeline').textContent.includes('failover.done'));
	await page.shot('failover');
	await page.go('#/metrics');
	await page.waitForFunction(() => document.querySelector('.page .hint').textContent.includes('changes of the master'));

	// and a planned one, by the button: who would win and why, then the hand-over
	await page.go('#/cluster');
	await page.getByRole('button', { name: 'Switch over…' }).click();
	const dialog = page.locator('dialog');
	await page.waitForFunction(() => /would take over/.test(document.querySelector('dialog')?.textContent));
	await page.shot('switchover');
	const name = /^(\S+) would/.exec(await dialog.locator('p').first().textContent())[1];
	await dialog.getByRole('button', { name: `Make ${name} master` }).click();
	await page.waitForFunction(x => document.querySelector('.map .is-master')?.dataset.name === x, name);
	await becomes(async () => (await ask('state')).master, name, 'the new master');

	// a process is stopped and started by hand
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('All writes safe on 3 servers'));
	const other = ['redis-1', 'redis-2', 'redis-3'].find(x => x !== name);
	await page.getByRole('button', { name: `Stop ${other}` }).click();
	await dialog.getByRole('button', { name: `Stop ${other}` }).click();
	await page.waitForFunction(x => document.querySelector('.health h1').textContent.includes(`${x} is stopped by hand`), other);
	await page.getByRole('button', { name: `Start ${other}` }).click();
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('All writes safe on 3 servers'));
	await page.waitForFunction(x => document.querySelector('.timeline').textContent.includes(x), other);
	page.quiet('a failover');
	return { picture_turned_ms: turned - at_ms };
});
