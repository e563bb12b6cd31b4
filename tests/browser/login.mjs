// Who may do what: nothing before the login, a viewer looks, an operator acts; logging out ends it.
import { ask, BASE, check, open, same, scenario } from './lib.mjs';

async function signIn(page, user, password) {
	await page.getByLabel('User', { exact: true }).fill(user);
	await page.getByLabel('Password', { exact: true }).fill(password);
	await page.getByRole('button', { name: 'Sign in' }).click();
}

scenario(async browser => {
	// browsers write each answer of 401 to the console by themselves
	const page = await open(browser, { expect: /status of 40[13]/ });
	await page.goto(`${BASE}#/cluster/redis-2`);
	await page.getByRole('button', { name: 'Sign in' }).waitFor();
	same(await page.locator('.map').count(), 0, 'nothing is shown before');
	await page.shot('login');
	await signIn(page, 'vic', 'wrong');
	await page.waitForSelector('.fault');
	await signIn(page, 'vic', 'looks-only');
	await page.waitForSelector('.map .is-master');
	check(page.url().endsWith('#/cluster/redis-2'), 'the link is still where we are');
	check((await page.textContent('.who')).includes('viewer'), 'the role is shown');
	same(await page.getByRole('button', { name: /Switch over|Stop|Restart/ }).count(), 0, 'a viewer has no such buttons');
	// what is not for a viewer is said, and is no fault
	for (const tool of ['users', 'monitor']) {
		await page.goto(`${BASE}#/tools/${tool}`);
		await page.waitForFunction(() => /for operators: .*role = operator/.test(document.querySelector('.tool')?.textContent));
		same(await page.locator('.fault').count(), 0, `faults in ${tool}`);
	}
	await page.goto(`${BASE}#/tools/slowlog`);
	await page.waitForFunction(() => document.querySelector('.tool')?.textContent.includes('The slow log is empty.'));
	await page.goto(`${BASE}#/console`);
	await page.fill('.cli textarea', 'set not-allowed 1');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('.turn')?.textContent.includes('NOPERM'));
	same((await ask('value', { key: 'not-allowed' })).type, 'none', 'nothing was written');
	await page.getByRole('button', { name: 'Sign out' }).click();
	await page.getByRole('button', { name: 'Sign in' }).waitFor();
	await page.reload();
	await page.getByRole('button', { name: 'Sign in' }).waitFor();
	await signIn(page, 'ann', 'does-things');
	await page.waitForSelector('.cli');
	await page.fill('.cli textarea', 'set allowed 1');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('.turn')?.textContent.includes('OK'));
	const told = await ask('changes');
	check(told.some(e => JSON.stringify(e).includes('ann')), `the change is an event with her name: ${JSON.stringify(told)}`);
	await page.goto(`${BASE}#/cluster`);
	await page.getByRole('button', { name: 'Switch over…' }).waitFor();
	page.quiet('logging in');
	// a narrow window has the way out, too
	for (const [width, through] of [[900, false], [390, true]]) {
		const p = await open(browser, { viewport: { width, height: 844 }, expect: /status of 40[13]/ });
		await p.goto(BASE);
		await signIn(p, 'vic', 'looks-only');
		await p.waitForSelector('.map .is-master');
		if (through) {
			await p.getByRole('button', { name: 'You and this page' }).click();
			check((await p.textContent('dialog')).includes('Signed in as vic, viewer'), 'who is signed in');
			await p.locator('dialog').getByLabel('Dark', { exact: true }).check({ force: true });
			same(await p.evaluate(() => document.documentElement.dataset.theme), 'dark', 'the colours');
			await p.shot('phone-menu');
		}
		await p.getByRole('button', { name: 'Sign out' }).click();
		await p.getByRole('button', { name: 'Sign in' }).waitFor();
		p.quiet(`a window of ${width} px`);
	}
});
