// Every view under load, by link and by key, light, dark and narrow; the way back; names for all controls.
import { ask, BASE, becomes, check, faint, LONG, nameless, open, same, scenario, seesTab, tooWide } from './lib.mjs';

const VIEWS = {
	'#/cluster': '.map .is-master', '#/cluster/redis-2': '.log', '#/metrics': '.chart canvas', '#/browser': '.v-row', '#/browser/0/k/user%3A1': '.value .tbl', '#/console': '.cli textarea',
	'#/tools/slowlog': '.tbl, .empty', '#/tools/monitor': '.warnbox', '#/tools/pubsub': '.panel', '#/tools/clients': '.tbl tbody tr', '#/tools/memory': '.panel', '#/tools/users': '.tbl tbody tr', '#/tools/indexes': '.panel',
};

scenario(async browser => {
	const figures = {};
	const page = await open(browser);
	const begun = Date.now();
	await page.goto(`${BASE}#/cluster`);
	await page.waitForSelector('.map .is-master');
	figures.first_picture_ms = Date.now() - begun;
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('All writes safe on 3 servers'));
	await becomes(() => page.locator('.map .node').count(), 8, 'nodes in the picture');
	const { master } = await ask('state');
	await becomes(() => page.getAttribute('.map .is-master', 'data-name'), master, 'the master in the picture');

	// no fault among those that are here is not none at all
	await page.getByText('Faults', { exact: true }).click();
	await page.waitForFunction(() => /No fault in the last \d+ events/.test(document.body.textContent));
	await page.getByRole('button', { name: 'Older' }).click();
	await page.waitForFunction(() => /No fault in all that is kept/.test(document.body.textContent));
	// a link that was cut off is no end of the page
	for (const [hash, text] of [['#/cluster/%E0%', 'no instance'], ['#/tools/indexes/%', 'index'], ['#/browser/0/k/%E0%A', 'no such key'], ['#/nothing/%', 'no view']]) {
		await page.go(hash);
		await page.waitForFunction(x => document.querySelector('main')?.textContent.includes(x), text);
	}
	await page.go('#/cluster');

	// what moves goes on between two changes of the state
	const up = () => page.textContent('.tbl tbody tr:first-child td:nth-last-child(2)');
	const was = await up();
	check(/s/.test(was), `the time that a process is up: ${was}`);
	await page.waitForFunction(text => document.querySelector('.tbl tbody tr:first-child td:nth-last-child(2)').textContent !== text, was);

	// a second of load is visible soon after; the commands are counted
	await page.go('#/metrics');
	await ask('load');
	await page.waitForFunction(() => /[1-9]/.test(document.querySelector('.pulse dd').textContent), null, { timeout: LONG });
	await page.waitForFunction(() => [...document.querySelectorAll('.tbl tbody tr')].some(r => /^SET[1-9]/.test(r.textContent)), null, { timeout: LONG });
	await becomes(() => page.evaluate(() => { const c = document.querySelector('.chart canvas'); return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x !== 0); }), true, 'the first chart is drawn');

	for (const [width, scheme, name] of [[1400, 'light', 'light'], [1400, 'dark', 'dark'], [390, 'light', 'phone']]) {
		const p = await open(browser, { viewport: { width, height: 844 }, colorScheme: scheme });
		for (const [hash, sight] of Object.entries(VIEWS)) {
			await p.go(hash);
			await p.waitForSelector(sight);
			same(await nameless(p), [], `controls without a name in ${hash}, ${name}`);
			same(await tooWide(p), null, `width of ${hash}, ${name}`);
			same(await faint(p), [], `faint text in ${hash}, ${name}`);
			await seesTab(p);
			await p.shot(`${name}-${hash.replace(/\W+/g, '-')}`);
			p.quiet(`${hash}, ${name}`);
		}
		const dark = await p.evaluate(() => { const [r] = getComputedStyle(document.body).backgroundColor.match(/\d+/g); return Number(r) < 100; });
		same(dark, scheme === 'dark', `the colours that the system asks for, ${name}`);
		await p.context().close();
	}

	// the way back, keys, and the switch of colours, which stays over a reload
	await page.go('#/cluster');
	await page.locator('main').focus();
	await page.keyboard.press('3');
	await page.waitForSelector('.keys');
	await page.keyboard.press('/');
	await becomes(() => page.evaluate(() => document.activeElement.matches('.searchbox input')), true, '/ goes to the search');
	await page.keyboard.type('user:');
	await page.keyboard.press('Enter');
	// a list that is still being filled takes no keys
	await page.waitForFunction(() => location.hash.includes('match=user') && document.querySelector('.keys-foot').textContent.startsWith('39 found of'));
	await page.locator('.vlist').focus();
	await page.keyboard.press('ArrowDown');
	await page.keyboard.press('ArrowRight');
	await page.waitForFunction(() => document.querySelectorAll('.v-row').length > 3);
	await page.keyboard.press('ArrowDown');
	await page.keyboard.press('Enter');
	await page.waitForSelector('.key-head');
	const link = page.url();
	await page.goBack();
	await page.waitForSelector('.key-head', { state: 'detached' });
	await page.goBack();
	await page.goBack();
	await page.waitForSelector('.map');
	await page.goto(link);
	await page.waitForSelector('.key-head .ty');
	await page.getByLabel('Dark', { exact: true }).check({ force: true });
	await page.reload();
	await page.waitForSelector('.health h1');
	same(await page.evaluate(() => document.documentElement.dataset.theme), 'dark', 'the chosen colours after a reload');
	await page.getByLabel('Colours as the system').check({ force: true });

	// the console: completion, help, a reply as a tree, a dangerous command that is asked for
	await page.go('#/console');
	await page.fill('.cli textarea', 'config g');
	await page.waitForSelector('.suggest button');
	await page.keyboard.press('Tab');
	await becomes(() => page.inputValue('.cli textarea'), 'config GET ', 'completion');
	await page.fill('.cli textarea', 'hgetall user:1');
	await page.waitForFunction(() => document.querySelector('.suggest .syntax')?.textContent === 'HGETALL key');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('.turn')?.textContent.includes('Zoë'));
	await page.fill('.cli textarea', 'flushall');
	await page.keyboard.press('Enter');
	await page.waitForSelector('dialog');
	await page.keyboard.press('Escape');
	await page.waitForSelector('dialog', { state: 'detached' });
	check((await ask('state')).keys > 0, 'nothing was deleted');
	await page.getByLabel('Target').selectOption('redis-2');
	await page.fill('.cli textarea', 'role');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => [...document.querySelectorAll('.turn')].some(t => /redis-2>role/.test(t.textContent) && /(master|slave)/.test(t.textContent)));

	// MONITOR ends by itself, publish reaches a subscriber, memory is drawn
	await page.go('#/tools/monitor');
	await page.getByText('5 s', { exact: true }).click();
	await page.getByRole('button', { name: 'Start' }).click();
	await page.getByRole('button', { name: 'Watch' }).click();
	await page.waitForSelector('.feed div');
	await page.waitForFunction(() => document.querySelector('.tool [role=status]').textContent.includes('ended'), null, { timeout: LONG });
	await page.go('#/tools/pubsub');
	await page.getByRole('button', { name: 'Listen' }).click();
	await page.getByLabel('Channel', { exact: true }).fill('news');
	await page.getByLabel('Message', { exact: true }).fill('hello ë');
	await ask('subscribed');
	await page.getByRole('button', { name: 'Publish' }).click();
	await page.waitForFunction(() => document.querySelector('.feed')?.textContent.includes('hello ë'));
	await page.go('#/tools/memory');
	await page.getByText('1 k keys', { exact: true }).click();
	await page.getByRole('button', { name: 'Look' }).click();
	await page.waitForSelector('.treemap rect');
	await page.waitForFunction(() => document.querySelector('.advice').textContent.includes('just beyond the compact form'));
	await page.shot('light-memory-drawn');
	await page.setViewportSize({ width: 390, height: 844 });
	await page.waitForFunction(() => { const t = [...document.querySelectorAll('.treemap text')].filter(x => x.textContent !== ''); return t.length > 0 && t.every(x => x.getBoundingClientRect().height > 9); });
	await page.shot('phone-memory-drawn');
	await page.setViewportSize({ width: 1400, height: 900 });
	// any database; a click in the picture leads to its keys, whatever is in their names
	await page.getByLabel('Database').selectOption({ label: 'db 3 (2)' });
	await page.getByRole('button', { name: 'Look' }).click();
	await page.getByRole('link', { name: /odd\[1\]:/ }).first().click();
	await page.waitForFunction(() => location.hash.startsWith('#/browser/3') && document.querySelector('.keys-foot').textContent.startsWith('2 found of 2'));
	// the clients of the proxy, and closing one of them
	await page.go('#/tools/clients');
	await ask('client');
	await page.getByLabel('Filter').fill('an-application');
	await becomes(() => page.locator('.tbl tbody tr').count(), 1, 'the client of the proxy in the list');
	await page.getByRole('button', { name: /^Close connection/ }).click();
	await page.locator('dialog').getByRole('button', { name: 'Close it' }).click();
	await ask('client-closed');
	await becomes(() => page.locator('.tbl tbody tr').count(), 0, 'clients of that name');
	await page.getByLabel('Server').selectOption('master');
	await page.waitForFunction(() => location.hash.includes('target=master') && document.querySelector('.panel-body.soft').textContent.includes('choose the proxy'));
	await page.go('#/tools/slowlog');
	await page.getByLabel('Threshold in microseconds').fill('0');
	await page.getByRole('button', { name: 'Set threshold' }).click();
	await page.waitForFunction(() => document.querySelectorAll('.tbl tbody tr').length > 0);
	page.quiet('the views');
	return figures;
});
