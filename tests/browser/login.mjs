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
});
