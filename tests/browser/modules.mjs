// What modules keep, with the modules there: a search index and a search in it, a graph and questions to it. What is in them stays text.
import { ask, check, LONG, nameless, open, same, scenario, tooWide } from './lib.mjs';

async function search(page, evil) {
	// as a key, which RediSearch 1 makes of it
	await page.go('#/browser/0/k/idx%3Abooks');
	await page.waitForFunction(() => document.querySelector('.value')?.textContent.includes('num_docs'));
	check((await page.textContent('.value')).includes('Index books'), 'the index by its name');
	await page.getByLabel('Query').fill('hello');
	await page.getByRole('button', { name: 'Run' }).click();
	await page.waitForFunction(text => document.querySelector('.value')?.textContent.includes(text), evil);
	// as a tool
	await page.go('#/tools/indexes');
	await page.getByRole('link', { name: 'books', exact: true }).click();
	await page.waitForFunction(() => location.hash === '#/tools/indexes/books' && document.querySelector('main').textContent.includes('num_docs'));
	same(await nameless(page), [], 'controls without a name');
	same(await tooWide(page), null, 'width');
	await page.shot('module-search');
	await page.getByLabel('Query').fill('@t:(');
	await page.getByRole('button', { name: 'Run' }).click();
	await page.waitForSelector('.fault');
	await page.go('#/tools/indexes/nothing');
	await page.waitForSelector('.fault');
}

async function graph(page, evil) {
	await page.go('#/browser/0/k/people');
	await page.waitForFunction(() => [...document.querySelectorAll('.value tbody tr')].some(r => r.textContent.includes('Person')));
	const put = async query => {
		await page.getByLabel('Query').fill(query);
		await page.getByRole('button', { name: 'Run' }).click();
	};
	await put('MATCH (p:Person) RETURN p.name ORDER BY p.name');
	await page.waitForFunction(text => [...document.querySelectorAll('.value tbody tr')].map(r => r.textContent).join() === `${text},Ann`, evil);
	// a node is shown with what it has
	await put('MATCH (p:Person)-[k:KNOWS]->(q) RETURN p, k');
	await page.waitForFunction(() => { const r = document.querySelector('.value tbody tr')?.textContent ?? ''; return /Ann/.test(r) && /KNOWS/.test(r); }, null, { timeout: LONG });
	await page.shot('module-graph');
	// read-only, whoever asks
	await put("CREATE (:Person {name: 'Eve'})");
	await page.waitForSelector('.value .fault');
	same((await ask('people')).n, 2, 'people in the graph');
}

scenario(async browser => {
	const page = await open(browser, { expect: /status of 50[34]/ });
	const { what, evil } = await ask('modules');
	await (what === 'search' ? search : graph)(page, evil);
	same(await page.evaluate(() => [window.__xss ?? null, document.querySelectorAll('img, #app script').length]), [null, 0], 'markup in it');
	page.quiet(what);
});
