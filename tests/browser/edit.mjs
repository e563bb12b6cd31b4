// Values of every kind are shown and changed, byte for byte; what is in names and values is never taken for markup.
import { ask, check, open, same, scenario } from './lib.mjs';

scenario(async browser => {
	const page = await open(browser);
	const value = k => ask('value', { key: k });
	const dialog = page.locator('dialog');
	const untilGone = () => page.waitForSelector('dialog', { state: 'detached' });

	// strings: as text, JSON, hex; the bytes that nobody touched stay
	await page.go('#/browser/0/k/edit%3Ajson');
	await page.waitForSelector('.json-key');
	check((await page.textContent('.value pre')).includes('9007199254740993'), 'a big number keeps its digits');
	await page.getByRole('button', { name: 'Edit', exact: true }).click();
	await page.fill('.value textarea', '{"n": 9007199254740993, "ok": false}');
	await page.getByRole('button', { name: 'Save compact' }).click();
	await page.waitForSelector('.value textarea', { state: 'detached' });
	same((await value('edit:json')).text, '{"n":9007199254740993,"ok":false}', 'JSON saved compact');
	check((await value('edit:json')).ttl > 0, 'the time to live is kept');
	await page.go('#/browser/0/k/edit%3Abytes');
	await page.getByText('Hex', { exact: true }).click();
	await page.waitForSelector('.hex');
	await page.getByRole('button', { name: 'Edit', exact: true }).click();
	await page.fill('.value textarea', '00 ff 0d 0a 80');
	await page.getByRole('button', { name: 'Save', exact: true }).click();
	await page.waitForSelector('.value textarea', { state: 'detached' });
	same((await value('edit:bytes')).hex, '00ff0d0a80', 'bytes saved');
	await page.getByText('Escaped', { exact: true }).click();
	await page.getByRole('button', { name: 'Edit', exact: true }).click();
	same(await page.inputValue('.value textarea'), '\\x00\\xff\\r\\n\\x80', 'bytes escaped');
	await page.getByRole('button', { name: 'Save', exact: true }).click();
	await page.waitForSelector('.value textarea', { state: 'detached' });
	same((await value('edit:bytes')).hex, '00ff0d0a80', 'bytes through their escaped form');
	await page.go('#/browser/0/k/edit%3Apng');
	await page.waitForFunction(() => document.querySelector('.value img')?.naturalWidth === 8);
	await page.go('#/browser/0/k/edit%3Amsgpack');
	await page.waitForFunction(() => document.querySelector('.value pre')?.textContent.includes('"name": bin') || document.querySelector('.value pre')?.textContent.includes('"b": '));

	// somebody else was faster
	await page.go('#/browser/0/k/edit%3Atext');
	await page.getByRole('button', { name: 'Edit', exact: true }).click();
	await ask('set', { key: 'edit:text', to: 'theirs' });
	await page.fill('.value textarea', 'mine');
	await page.getByRole('button', { name: 'Save', exact: true }).click();
	await page.waitForFunction(() => document.querySelector('dialog')?.textContent.includes('changed meanwhile'));
	await dialog.getByRole('button', { name: 'Cancel' }).click();
	await untilGone();
	same((await value('edit:text')).text, 'theirs', 'their value');

	// hash, list, set, sorted set, stream
	await page.go('#/browser/0/k/edit%3Ahash');
	await page.getByRole('button', { name: 'Field', exact: true }).click();
	await dialog.locator('input').fill('f\\x00');
	await dialog.locator('textarea').fill('v\\xff');
	await dialog.getByRole('button', { name: 'Save' }).click();
	await untilGone();
	same((await value('edit:hash')).map['6600'], '76ff', 'a field of bytes');
	// one stays where one was after a change; a filter that leaves nothing says so
	const rows = () => page.locator('.value tbody tr').count();
	await page.go('#/browser/0/k/edit%3Amany');
	await page.waitForFunction(() => document.querySelectorAll('.value tbody tr').length >= 100);
	await page.getByRole('button', { name: 'More', exact: true }).last().click();
	await page.waitForFunction(() => document.querySelectorAll('.value tbody tr').length >= 300);
	const before = await rows();
	const field = await page.locator('.value tbody tr').last().locator('td').first().textContent();
	await page.locator('.value tbody tr').last().getByRole('button', { name: 'Edit field' }).click();
	await dialog.locator('textarea').fill('another value');
	await dialog.getByRole('button', { name: 'Save' }).click();
	await untilGone();
	await page.waitForFunction(x => [...document.querySelectorAll('.value tbody tr')].some(r => r.textContent.startsWith(`${x}another value`)), field);
	check(await rows() >= before, `rows after a change, ${await rows()} of ${before}`);
	await page.locator('.value').getByLabel('Filter').fill('nowhere');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('.value')?.textContent.includes('Nothing matches *nowhere*.'));
	// large elements: as many as one answer may have
	for (const kind of ['list', 'hash', 'zset', 'stream']) {
		await page.go(`#/browser/0/k/fat%3A${kind}`);
		await page.waitForFunction(() => { const n = document.querySelectorAll('.value tbody tr').length; return n > 0 && n < 60; });
		same(await page.locator('.value .fault').count(), 0, `faults of a ${kind} of large elements`);
		const more = page.locator('.value').getByRole('button', { name: /^(Next|More)$/ });
		const text = () => page.textContent('.value tbody');
		const first = await text();
		await more.click();
		await page.waitForFunction(x => document.querySelector('.value tbody').textContent !== x, first);
	}
	await page.go('#/browser/0/k/edit%3Alist');
	await page.getByLabel('Index').fill('-1');
	await page.getByRole('button', { name: 'Go to' }).click();
	await page.waitForFunction(() => /^2\d\dj/.test(document.querySelector('.value tbody tr')?.textContent) && document.querySelector('.value tbody').textContent.includes('job 249'));
	await page.getByLabel('Index').fill('7');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelectorAll('.value tbody tr').length === 100);
	await page.locator('.value tbody tr').nth(1).getByRole('button', { name: 'Remove element' }).click();
	await dialog.getByRole('button', { name: 'Remove' }).click();
	await page.waitForFunction(() => document.querySelectorAll('.value tbody tr')[1]?.textContent.includes('job 2'));
	same((await value('edit:list')).length, 249, 'one element less');
	await page.getByRole('button', { name: 'Last', exact: true }).nth(1).click();
	await page.waitForFunction(() => document.querySelector('.value tbody')?.textContent.includes('job 249'));
	await page.go('#/browser/0/k/edit%3Aset');
	await page.locator('.value tbody tr').first().getByRole('button', { name: 'Remove member' }).click();
	await dialog.getByRole('button', { name: 'Remove' }).click();
	await page.waitForFunction(() => document.querySelectorAll('.value tbody tr').length === 1);
	same((await value('edit:set')).length, 1, 'one member less');
	await page.go('#/browser/0/k/edit%3Azset');
	await page.waitForSelector('.value tbody tr');
	await page.locator('.value tbody tr').first().getByRole('button', { name: 'Edit member' }).click();
	await dialog.locator('input').first().fill('-2.5');
	await dialog.getByRole('button', { name: 'Save' }).click();
	await untilGone();
	check(Object.values((await value('edit:zset')).map).includes(-2.5), 'a new score');
	await page.go('#/browser/0/k/edit%3Astream');
	await page.waitForSelector('.value tbody tr');
	await page.getByText('Groups', { exact: true }).click();
	await page.getByRole('button', { name: 'billing', exact: true }).click();
	await page.getByLabel('All', { exact: true }).check();
	await page.getByRole('button', { name: /Acknowledge/ }).click();
	await page.waitForFunction(() => document.querySelector('.detail').textContent.includes('Nothing is pending'));

	// create, time to live, rename, delete
	await page.go('#/browser');
	await page.getByRole('button', { name: 'New key' }).click();
	await dialog.getByLabel('Name').fill('made:one');
	await dialog.getByLabel('Value').fill('first');
	await dialog.getByLabel('Expires after').fill('2h');
	await dialog.getByRole('button', { name: 'Create' }).click();
	await page.waitForSelector('.key-head .ty');
	check((await value('made:one')).ttl > 7000, 'it expires in two hours');
	await page.getByRole('button', { name: 'Rename' }).click();
	await dialog.getByRole('textbox').fill('made:two');
	await dialog.getByRole('button', { name: 'Rename' }).click();
	await page.waitForFunction(() => document.querySelector('.key-head h2').textContent === 'made:two');
	await page.getByRole('button', { name: 'Delete this key' }).click();
	await dialog.getByRole('button', { name: 'Delete' }).click();
	await page.waitForSelector('.key-head', { state: 'detached' });
	same((await value('made:two')).type, 'none', 'it is gone');

	// export, delete by pattern after a dry run, import: all as it was
	await page.go('#/browser?match=bulk:*');
	await page.waitForFunction(() => document.querySelector('.keys-foot').textContent.includes('300 found'));
	await page.getByRole('button', { name: 'Export and import' }).click();
	const [file] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', { name: 'Export', exact: true }).click()]);
	const path = await file.path();
	await page.waitForFunction(() => document.querySelector('dialog').textContent.includes('300 keys exported'));
	await page.keyboard.press('Escape');
	await untilGone();
	await page.getByRole('button', { name: 'Delete by pattern' }).click();
	await dialog.getByRole('button', { name: 'Dry run' }).click();
	await page.waitForFunction(() => document.querySelector('dialog').textContent.includes('300 keys would be deleted'));
	same((await ask('count', { match: 'bulk:*' })).n, 300, 'a dry run deletes nothing');
	await dialog.getByRole('button', { name: /^Delete/ }).click();
	const sure = page.locator('dialog', { hasText: 'Delete 300 keys?' });
	check(await sure.getByRole('button', { name: 'Delete' }).isDisabled(), 'the number has to be typed');
	await sure.getByRole('textbox').fill('300');
	await sure.getByRole('button', { name: 'Delete' }).click();
	await page.waitForFunction(() => document.querySelector('dialog').textContent.includes('300 keys deleted'));
	same((await ask('count', { match: 'bulk:*' })).n, 0, 'all are gone');
	check((await ask('count', { match: 'edit:*' })).n > 0, 'and nothing else');
	await page.keyboard.press('Escape');
	await untilGone();
	await page.getByRole('button', { name: 'Export and import' }).click();
	await dialog.locator('input[type=file]').setInputFiles(path);
	await page.locator('dialog', { hasText: 'Import 300 keys?' }).getByRole('button', { name: 'Import' }).click();
	await page.waitForFunction(() => document.querySelector('dialog').textContent.includes('300 keys imported'));
	same((await ask('count', { match: 'bulk:*' })).n, 300, 'all are back');
	await page.keyboard.press('Escape');
	await untilGone();

	// markup in names of keys, fields, values, clients, channels and in log lines stays text
	const evil = '<img src=x onerror="window.__xss=1"><script>window.__xss=1</script>';
	const { master } = await ask('evil', { text: evil });
	const clean = async where => same(await page.evaluate(() => [window.__xss ?? null, document.querySelectorAll('img, #app script').length]), [null, 0], `markup at ${where}`);
	for (const [hash, sight] of [['#/browser?match=*onerror*&view=list', '.v-row'], [`#/browser/0/k/${encodeURIComponent(evil)}`, '.value tbody tr'], ['#/tools/clients?target=master', '.tbl tbody tr'], ['#/tools/slowlog', '.panel'], ['#/cluster', '.map'], ['#/tools/users', '.tbl tbody tr'], [`#/browser/0/k/${encodeURIComponent(`stream:${evil}`)}`, '.value tbody tr'], ['#/tools/pubsub', '.panel'],
		[`#/${encodeURIComponent(evil)}`, '.empty'], [`#/cluster/${encodeURIComponent(evil)}`, '.map'], [`#/tools/${encodeURIComponent(evil)}`, '.tabs'], [`#/console?target=${encodeURIComponent(evil)}`, '.cli']]) {
		await page.go(hash);
		await page.waitForSelector(sight);
		await clean(hash);
	}
	await page.go(`#/cluster/${master}`);
	await page.waitForFunction(() => document.querySelector('.log')?.textContent.includes('onerror'));
	await clean('a line of a log');
	await page.go('#/tools/users');
	await page.waitForFunction(() => document.querySelector('.tbl tbody').textContent.includes('<img'));
	await clean('the name of a user');
	await page.go(`#/browser/0/k/${encodeURIComponent(`stream:${evil}`)}`);
	await page.getByText('Groups', { exact: true }).click();
	await page.getByRole('button', { name: evil, exact: true }).click();
	await page.waitForFunction(() => document.querySelector('.detail').textContent.includes('<script>'));
	await clean('groups and consumers');
	await page.go('#/tools/memory');
	await page.getByText('1 k keys', { exact: true }).click();
	await page.getByRole('button', { name: 'Look' }).click();
	await page.waitForSelector('.treemap rect');
	await clean('memory by prefix');
	await page.go('#/tools/monitor');
	await page.getByRole('button', { name: 'Start' }).click();
	await page.getByRole('button', { name: 'Watch' }).click();
	await page.waitForSelector('.feed');
	await ask('say', { text: evil, heard: false });
	await page.waitForFunction(() => document.querySelector('.feed').textContent.includes('onerror'));
	await clean('a command that MONITOR shows');
	await page.go('#/tools/pubsub');
	await page.getByRole('button', { name: 'Listen' }).click();
	await ask('say', { text: evil, heard: true });
	await page.waitForFunction(() => document.querySelector('.feed')?.textContent.includes('onerror'));
	await clean('a message');
	await page.go('#/tools/clients?target=master');
	await page.waitForFunction(() => document.querySelector('.tbl tbody').textContent.includes('<script>'));
	await page.go('#/console');
	await page.fill('.cli textarea', `hgetall "${evil.replaceAll('"', '\\"')}"`);
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('.turn .resp')?.textContent.includes('onerror'));
	same(await page.evaluate(() => window.__xss ?? null), null, 'markup in a reply');
	page.quiet('editing');
});
