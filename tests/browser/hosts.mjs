// Three hosts, seen from the page of one: who runs where, whose events they are, one that dies, and what is told to another host's instance.
import { ask, becomes, check, nameless, open, same, scenario, tooWide } from './lib.mjs';

scenario(async browser => {
	const page = await open(browser);
	await page.go('#/cluster');
	const sentence = () => page.textContent('.health h1');
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('All writes safe on 3 servers, 3 hosts'));
	for (const host of ['a', 'b', 'c']) {
		await page.waitForSelector(`.tbl tr[data-host="${host}"]`);
		for (const name of ['redis-1', 'sentinel-1', 'proxy-1', 'http-1']) {
			await page.waitForFunction(x => [...document.querySelectorAll('.tbl .inst-name a')].some(e => e.textContent === x), `${host}/${name}`);
			await page.waitForFunction(x => [...document.querySelectorAll('.map .node .name')].some(e => e.textContent === x), `${host}/${name}`);
		}
		await page.waitForFunction(x => [...document.querySelectorAll('.timeline .tag')].some(e => e.textContent === x), host);
	}
	const { master } = await ask('state');
	await page.waitForFunction(x => document.querySelector('.map .is-master .name')?.textContent === x, `${master}/redis-1`);
	await page.waitForFunction(() => document.querySelector('.map').textContent.includes('3 of 3 sentinels agree'));
	same(await nameless(page), [], 'controls without a name');
	same(await tooWide(page), null, 'the width');
	await page.shot('hosts');

	// an instance of another host: its log, and a restart
	await page.go('#/cluster/b%2Fredis-1');
	await page.waitForFunction(() => document.querySelector('.log')?.textContent.includes('Redis'));
	await page.go('#/cluster/b%2Fproxy-1');
	const { pid } = await ask('pid', { host: 'b', name: 'proxy-1' });
	await page.waitForFunction(x => document.querySelector('.facts').textContent.includes(x), String(pid));
	await page.getByRole('button', { name: 'Restart b/proxy-1' }).first().click();
	await page.locator('dialog').getByRole('button', { name: 'Restart b/proxy-1' }).click();
	await page.waitForFunction(() => document.querySelector('.notes').textContent.includes('b/proxy-1: restart is done'));
	check((await ask('pid', { host: 'b', name: 'proxy-1' })).pid !== pid, 'it was restarted');
	await page.waitForFunction(() => [...document.querySelectorAll('.timeline li')].some(e => e.querySelector('.tag')?.textContent === 'b' && /instance\.ready/.test(e.textContent) && /proxy-1/.test(e.textContent)));
	await page.shot('hosts-instance');
	await page.go('#/cluster');

	// who could take over is known also where the master is another host's
	await page.getByRole('button', { name: 'Switch over…' }).click();
	await page.waitForFunction(() => /would take over/.test(document.querySelector('dialog')?.textContent));
	await page.locator('dialog').getByRole('button', { name: 'Cancel' }).click();

	// a host dies
	await ask('kill', { host: 'c' });
	await page.waitForFunction(() => document.querySelector('.tbl tr[data-host="c"]').textContent.includes('cannot be reached'));
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('host c cannot be reached'));
	await becomes(async () => /takes writes/.test(await sentence()), true, 'writes go on');
	await page.waitForFunction(() => [...document.querySelectorAll('.tbl tr')].some(e => e.textContent.startsWith('c/proxy-1') && e.textContent.includes('not heard')));
	check(await page.getByRole('button', { name: 'Restart c/proxy-1' }).count() === 0, 'nobody can be told anything there');
	await page.waitForFunction(() => document.body.textContent.includes('Events of host c are missing'));
	await page.waitForFunction(() => [...document.querySelectorAll('.timeline li')].filter(e => e.textContent.includes('host.lost')).length === 2);
	await page.shot('hosts-dead');
	await page.setViewportSize({ width: 390, height: 844 });
	same(await tooWide(page), null, 'the width on a phone');
	await page.shot('hosts-phone');
	await page.setViewportSize({ width: 1400, height: 900 });

	// it comes back, with what happened there meanwhile
	await ask('start', { host: 'c' });
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('All writes safe on 3 servers, 3 hosts'));
	await page.waitForFunction(() => !document.body.textContent.includes('are missing'));
	await page.waitForFunction(() => [...document.querySelectorAll('.timeline li')].some(e => e.querySelector('.tag')?.textContent === 'c' && /supervisor\.started/.test(e.textContent)));
	page.quiet('three hosts');
});
