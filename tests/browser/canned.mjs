// Views of what is not to be had here (JSON, time series, fields that expire), fed with the answers that their servers give, in the
// forms of RESP2 and RESP3. Only commands about keys "canned:…" are answered here; what the page sends for them is looked at.
import { becomes, check, nameless, open, same, scenario, tooWide } from './lib.mjs';

const status = text => ({ status: text });
const sent = [];
let document_ = '{"name":"Ann","n":9007199254740993,"list":[1,2]}';
const fields = { a: '1', b: '2' };
const until = { a: Date.now() + 5000_000, b: -1 };
const info = (labels, more = {}) => ({ totalSamples: 4, memoryUsage: 4242, firstTimestamp: 1700000000000, lastTimestamp: 1700172800000, retentionTime: 86400000, chunkCount: 1, chunkSize: 4096, duplicatePolicy: null, labels, sourceKey: null, rules: [], ...more });
const points = [[1700000000000, '-3.5'], [1700060000000, '2'], [1700120000000, 'NaN'], [1700172800000, '-1.25']];

const KEYS = {
	'canned:json': { type: 'ReJSON-RL', 'JSON.GET': ([, path]) => (path === '.' ? document_ : `[${document_}]`), 'JSON.SET': ([, , text]) => { document_ = text; return status('OK'); } },
	'canned:huge': { type: 'ReJSON-RL', 'JSON.GET': () => ({ cut: 99000000 }) },
	// RedisTimeSeries up to 1.8, and later ones with RESP3
	'canned:series2': { type: 'TSDB-TYPE', 'TS.INFO': () => Object.entries(info([['place', 'roof'], ['unit', '<b>C</b>']])).flat(), 'TS.RANGE': () => points.map(([t, v]) => [t, status(v)]) },
	'canned:series3': { type: 'TSDB-TYPE', 'TS.INFO': () => ({ map: Object.entries(info({ map: [['place', 'roof']] })) }), 'TS.RANGE': () => points.map(([t, v]) => [t, { double: v.toLowerCase() }]) },
	'canned:many': {
		type: 'TSDB-TYPE', 'TS.INFO': () => ({ map: Object.entries(info([], { totalSamples: 5000000, retentionTime: 0 })) }),
		'TS.RANGE': args => { check(args.includes('AGGREGATION') && args.includes('COUNT'), `five million samples are asked for as means: ${args}`); return points.map(([t, v]) => [t, { double: v }]); },
	},
	'canned:none': { type: 'TSDB-TYPE', 'TS.INFO': () => ({ map: Object.entries(info([], { totalSamples: 0, firstTimestamp: 0, lastTimestamp: 0 })) }), 'TS.RANGE': () => [] },
	'canned:hash': {
		type: 'hash', HLEN: () => 2, HSCAN: () => ['0', Object.entries(fields).flat()],
		HTTL: ([, , , ...f]) => f.map(x => (until[x] < 0 ? -1 : Math.round((until[x] - Date.now()) / 1000))), HPEXPIRETIME: ([, , , ...f]) => f.map(x => until[x]),
		HSET: ([, f, v]) => { fields[f] = v; until[f] = -1; return 0; }, HPEXPIREAT: ([, at, , , f]) => { until[f] = Number(at); return [1]; },
	},
};

function answer(command) {
	const [name, ...args] = command.map(String);
	const key = KEYS[args.find(a => a.startsWith('canned:'))];
	sent.push(command);
	if (name === 'TYPE') {
		return status(key.type);
	}
	const own = key[name]?.(args);
	return own ?? ({ TTL: -1, OBJECT: { error: 'ERR no such key' }, MEMORY: 128 }[name] ?? { error: `ERR unknown command '${name}'` });
}

async function canned(page) {
	await page.route('**/api/v1/command', async route => {
		const { commands } = route.request().postDataJSON();
		if (!commands.some(c => c.some(a => String(a).startsWith('canned:')))) {
			return route.continue();
		}
		return route.fulfill({ json: { replies: commands.map(answer), target: 'master', at: '127.0.0.1:1', us: 1 } });
	});
}

async function json(page) {
	const edit = async (from, to) => {
		await page.getByRole('button', { name: 'Edit' }).click();
		await page.locator('.value textarea').fill((await page.locator('.value textarea').inputValue()).replace(from, to));
		await page.getByRole('button', { name: 'Save', exact: true }).click();
	};
	await page.go('#/browser/0/k/canned%3Ajson');
	await page.waitForFunction(() => document.querySelector('.value .json-num')?.textContent === '9007199254740993');
	check((await page.textContent('.value pre')).startsWith('{'), 'the document itself, not an array of it');
	await edit('Ann', 'Zoë');
	await becomes(() => document_, '{"name":"Zoë","n":9007199254740993,"list":[1,2]}', 'the document that was saved');
	await page.waitForFunction(() => document.querySelector('.value pre')?.textContent.includes('Zoë'));
	// no JSON is not sent
	const writes = () => sent.filter(c => c[0] === 'JSON.SET').length;
	await edit('"Zoë"', 'Zoë');
	await page.waitForFunction(() => document.querySelector('.value .fault')?.textContent.includes('no JSON'));
	same(writes(), 1, 'documents that were written');
	await page.getByRole('button', { name: 'Cancel' }).click();
	// somebody else was faster: that is asked about
	await page.getByRole('button', { name: 'Edit' }).click();
	document_ = '{"name":"Eve"}';
	await page.locator('.value textarea').fill('{"name":"Ida"}');
	await page.getByRole('button', { name: 'Save', exact: true }).click();
	await page.locator('dialog').getByRole('button', { name: 'Cancel' }).click();
	same([document_, writes()], ['{"name":"Eve"}', 1], 'what the other one wrote');
	await page.getByRole('button', { name: 'Save', exact: true }).click();
	await page.locator('dialog').getByRole('button', { name: 'Overwrite' }).click();
	await becomes(() => document_, '{"name":"Ida"}', 'the document after the question');
	// too large to be shown is said, with what helps
	await page.go('#/browser/0/k/canned%3Ahuge');
	await page.waitForFunction(() => /JSON\.GET/.test(document.querySelector('.value .fault')?.textContent));
}

async function series(page) {
	for (const name of ['series2', 'series3']) {
		await page.go(`#/browser/0/k/canned%3A${name}`);
		await page.waitForFunction(() => /value -1\.25/.test(document.querySelector('.value .chart')?.getAttribute('aria-label')));
		await page.waitForFunction(() => { const c = document.querySelector('.value canvas'); return c && c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x !== 0); });
		await page.waitForFunction(() => document.querySelector('.value canvas').getBoundingClientRect().bottom <= document.querySelector('.value .chart-box').getBoundingClientRect().bottom + 1);
		const facts = await page.textContent('.value .facts');
		check(/Samples4Retention1 d/.test(facts) && /placeroof/.test(facts), `the facts of a series: ${facts}`);
		same(await nameless(page), [], `controls without a name, ${name}`);
		same(await tooWide(page), null, `width, ${name}`);
		await page.shot(`module-${name}`);
	}
	await page.go('#/browser/0/k/canned%3Amany');
	await page.waitForFunction(() => /means of/.test(document.querySelector('.value')?.textContent) && /for ever/.test(document.querySelector('.value .facts')?.textContent));
	await page.getByText('1 h', { exact: true }).click();
	await becomes(() => sent.filter(c => c[0] === 'TS.RANGE').pop().slice(2, 4), [1700172800000 - 3600000, 1700172800000], 'the last hour of it');
	await page.go('#/browser/0/k/canned%3Anone');
	await page.waitForFunction(() => /No sample yet/.test(document.querySelector('.value')?.textContent));
}

// A field that is given another value goes on living as long as it was to live: HSET alone would have it live for ever.
async function fieldsThatExpire(page) {
	await page.go('#/browser/0/k/canned%3Ahash');
	await page.waitForFunction(() => /1 h 23 min/.test(document.querySelector('.value tbody')?.textContent));
	const was = until.a;
	await page.getByRole('button', { name: 'Edit field' }).first().click();
	await page.locator('dialog textarea').fill('changed');
	await page.locator('dialog').getByRole('button', { name: 'Save' }).click();
	await page.waitForSelector('dialog', { state: 'detached' });
	same([fields.a, until.a, until.b], ['changed', was, -1], 'the field and how long it lives');
	await page.getByRole('button', { name: 'never' }).click();
	await page.locator('dialog').getByLabel('Expires after').fill('0');
	await page.locator('dialog').getByRole('button', { name: 'Save' }).click();
	await page.waitForSelector('dialog .fault');
	check(!sent.some(c => c[0] === 'HEXPIRE'), 'a field is not removed by a time of nothing');
	await page.keyboard.press('Escape');
}

scenario(async browser => {
	const page = await open(browser);
	await canned(page);
	await json(page);
	await series(page);
	await fieldsThatExpire(page);
	same(await page.evaluate(() => document.querySelectorAll('.value b').length >= 0 && window.__xss), undefined, 'markup');
	page.quiet('canned answers');
});
