// What the page was told last gets old without a word: a host without power, or a worker that hangs, ends no connection. The page
// says so, with the time of what it shows, and is itself again when it hears something.
import { ask, open, scenario } from './lib.mjs';

scenario(async browser => {
	const page = await open(browser, { expect: /ERR_|status of 50/ });
	await page.go('#/cluster');
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('All writes safe on 3 servers'));
	await ask('hang');
	await page.waitForFunction(() => /No contact with Holdfast: what you see is of \d\d:\d\d:\d\d/.test(document.querySelector('.health h1').textContent));
	await page.shot('no-contact');
	await ask('go-on');
	await page.waitForFunction(() => document.querySelector('.health h1').textContent.includes('All writes safe on 3 servers'));
	page.quiet('a worker that hangs');
});
