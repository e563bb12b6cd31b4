import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Instance, Status } from '../src/api/types';
import { clock } from '../src/core/format';
import { health, renewed } from '../src/core/health';
import { mapOf } from '../src/core/map';
import { advise, byTtl, byType, prefixTree, type Sampled } from '../src/core/memory';
import { append, column, fromHistory, joined, rate, total } from '../src/core/series';

const inst = (name: string, kind: Instance['kind'], more: Partial<Instance> = {}): Instance => ({ name, kind, state: 'ready', wanted: 'up', pid: 1, port: 1, role: null, restarts: 0, uptime_ms: 1, lag_bytes: null, modules: [], ...more });
const good: Status = {
	name: 'main', node: 'n', version: '1', state: 'ready', master: { name: 'redis-1', host: 'h', port: 1, epoch: 1 }, time: 100, uptime_ms: 1,
	instances: [inst('redis-1', 'redis', { role: 'master' }), inst('redis-2', 'redis', { role: 'replica', lag_bytes: 0 }), inst('redis-3', 'redis', { role: 'replica', lag_bytes: 5000 }), inst('sentinel-1', 'sentinel'), inst('proxy-1', 'proxy'), inst('http-1', 'http')],
};
const but = (name: string, more: Partial<Instance>, s: Partial<Status> = {}): Status => ({ ...good, ...s, instances: good.instances.map(i => (i.name === name ? { ...i, ...more } : i)) });

test('samples that come while a history is on its way are kept', () => {
	const h = { step_s: 1, t: [10, 11, 12], series: { a: [1, 2, 3] }, marks: [] };
	const samples = [11, 12, 13, 14].map(t => ({ time: t, figures: { a: t * 10 }, commands: [] }));
	assert.deepEqual(joined(h, samples, 300), { t: [10, 11, 12, 13, 14], series: { a: [1, 2, 3, 130, 140] } });
	assert.deepEqual(joined(h, [], 300), fromHistory(h));
});

test('a status goes on with the samples', () => {
	const down = but('http-1', { pid: null, uptime_ms: 0 });
	const s = renewed(renewed(down, { time: 101, figures: {}, commands: [] }), { time: 102.5, figures: { 'redis-1.lag_bytes': null, 'redis-2.lag_bytes': 77, 'redis-3.lag_bytes': null }, commands: [] });
	assert.deepEqual([s.time, s.uptime_ms], [102.5, 2501]);
	assert.deepEqual(s.instances.map(i => i.uptime_ms), [2501, 2501, 2501, 2501, 2501, 0]);
	assert.deepEqual(s.instances.slice(0, 3).map(i => i.lag_bytes), [null, 77, null]);
	assert.equal(renewed(s, { time: 90, figures: {}, commands: [] }).uptime_ms, 2501);
});

test('health is one sentence', () => {
	assert.deepEqual([health(good, null).grade, health(good, null).sentence], ['good', 'All writes safe on 3 servers']);
	assert.equal(health(null, null).grade, 'unknown');
	const gone = health(good, 'gone');
	assert.deepEqual([gone.grade, gone.sentence], ['unknown', `No contact with Holdfast: what you see is of ${clock(new Date(100000))}`]);
	assert.match(gone.advice, /^gone\. Servers and clients may well go on/);
	assert.equal(health(null, 'gone').sentence, 'No contact with Holdfast');
	const down = health(but('redis-3', { state: 'failed', role: null }, { state: 'degraded' }), null);
	assert.equal(down.grade, 'warn');
	assert.equal(down.sentence, 'redis-1 takes writes, but redis-3 is down');
	assert.equal(health(but('redis-1', { state: 'starting', role: null }, { state: 'degraded', reasons: ['no master takes writes'] }), null).grade, 'bad');
	assert.equal(health({ ...good, master: null, state: 'degraded' }, null).sentence, 'No server takes writes');
	assert.match(health(but('redis-2', { state: 'stopped', wanted: 'down', role: null }), null).sentence, /stopped by hand/);
	assert.equal(health({ ...good, instances: [good.instances[0]!] }, null).word, 'single');
	assert.equal(health({ ...good, state: 'degraded', reasons: ['proxy-1 does not route', 'redis-2 is starting'] }, null).sentence, 'redis-1 takes writes; proxy-1 does not route');
	assert.match(health({ ...good, state: 'degraded', reasons: ['proxy-1 does not route', 'redis-2 is starting'] }, null).advice, /^redis-2 is starting\. What is started or copied gets ready by itself/);
	const late = health(but('redis-3', { lag_bytes: 100 * 1048576 }), null);
	assert.deepEqual([late.grade, late.sentence], ['warn', 'redis-1 takes writes; redis-3 is 100 MiB behind']);
	const turning = health(but('redis-1', { role: null }, { state: 'degraded', reasons: ['redis-2 still writes its copy'] }), null);
	assert.deepEqual([turning.grade, turning.sentence], ['bad', 'redis-1 does not take writes']);
	assert.match(turning.advice, /^A replica takes over by itself if one is fit; writes wait at the proxy for a while\. redis-2 still writes/);
	assert.match(health({ ...good, state: 'degraded', instances: [inst('redis-1', 'redis', { state: 'starting' })] }, null).advice, /^No replica is ready/);
});

test('the picture: the master in the middle, wide and narrow, and it turns with the roles', () => {
	for (const phone of [false, true]) {
		const m = mapOf(good, {}, {}, phone);
		const by = (n: string) => m.nodes.find(x => x.name === n)!;
		assert.equal(m.nodes.length, 6);
		assert.equal(by('redis-1').look, 'master');
		assert.ok(Math.abs(by('redis-1').x + by('redis-1').w / 2 - m.width / 2) < 1);
		for (const n of m.nodes) {
			assert.ok(n.x >= 0 && n.x + n.w <= m.width + 0.1 && n.y + n.h <= m.height + 0.1, n.name);
			assert.ok(m.nodes.every(o => o === n || o.x >= n.x + n.w || n.x >= o.x + o.w || o.y >= n.y + n.h || n.y >= o.y + o.h), `${n.name} is covered`);
		}
		const turned = mapOf({ ...but('redis-1', { role: 'replica', lag_bytes: 0 }), instances: good.instances.map(i => (i.name === 'redis-1' ? { ...i, role: 'replica' as const, lag_bytes: 0 } : i.name === 'redis-2' ? { ...i, role: 'master' as const } : i)) }, {}, {}, phone);
		assert.equal(turned.nodes.find(x => x.look === 'master')?.name, 'redis-2');
	}
	const gone = mapOf({ ...good, instances: good.instances.filter(i => i.name !== 'redis-1') }, {}, {}, false);
	assert.equal(gone.nodes.length, 5);
	assert.equal(mapOf({ ...good, instances: [] }, {}, {}, true).nodes.length, 0);
});

const k = (key: string, bytes: number, type = 'string', ttl_s = -1): Sampled => ({ key, bytes, type, ttl_s });

test('memory by prefix, type and time to live adds up', () => {
	const s = [k('a:x:1', 100), k('a:x:2', 50, 'hash', 30), k('a:y', 30), k('b:1', 20, 'set', 1e7), k('c', 5)];
	const t = prefixTree(s, ':', 2, 10);
	assert.equal(t.bytes, 205);
	assert.deepEqual(t.children.map(c => [c.name, c.bytes, c.keys]), [['a:', 180, 3], ['b:', 20, 1], ['c', 5, 1]]);
	const sum = (n: typeof t): number => (n.children.length === 0 ? n.bytes : n.children.reduce((a, c) => a + sum(c), 0));
	assert.equal(sum(t), 205);
	const few = prefixTree(Array.from({ length: 50 }, (_, i) => k(`p${i}:1`, i + 1)), ':', 2, 5);
	assert.equal(few.children.length, 6);
	assert.equal(few.children[5]?.name, '45 others');
	assert.deepEqual(byType(s).map(x => [x.name, x.bytes]), [['string', 135], ['hash', 50], ['set', 20]]);
	const ttl = byTtl(s);
	assert.equal(ttl.find(x => x.name === 'never')?.keys, 3);
	assert.equal(ttl.reduce((a, x) => a + x.bytes, 0), 205);
});

test('advice: something for each case, one word when there is nothing', () => {
	const f = { used: 95, rss: 95, peak: 95, max: 100, policy: 'noeviction', fragmentation: 1, keys: 5 };
	assert.match(advise([k('a', 1)], f)[0]!.text, /95 %/);
	assert.match(advise([k('a', 9e6)], { ...f, used: 10 })[0]!.text, /One key has 9 MiB/);
	assert.equal(advise([k('a', 1000, 'hash', 5000)], { ...f, used: 10 })[0]!.text, 'Nothing stands out');
});

const at = (time: number, v: number | null) => ({ time, figures: { a: v }, commands: [] });

test('columns: a gap in time is a null, the old leaves, new series begin with nulls', () => {
	let c = fromHistory({ step_s: 1, t: [1, 2, 10], series: { a: [1, null, 3] }, marks: [] });
	assert.deepEqual(c, { t: [1, 2, 3, 10], series: { a: [1, null, null, 3] } });
	c = append(c, at(11, 4), 5, 1);
	assert.deepEqual(c, { t: [10, 11], series: { a: [3, 4] } });
	c = append(c, at(11, 9), 5, 1);
	assert.deepEqual(column(c, 'a'), [3, 4], 'the same second twice');
	c = append(c, { time: 12, figures: { b: 1 }, commands: [] }, 60, 1);
	assert.deepEqual(c.series, { a: [3, 4, null], b: [null, null, 1] });
	c = append(c, at(20, 5), 60, 1);
	assert.deepEqual(c.t, [10, 11, 12, 13, 20]);
	assert.deepEqual(column(c, 'a'), [3, 4, null, null, 5]);
	assert.deepEqual(column(c, 'none').length, 5);
	let w = append(append({ t: [0, 60], series: { a: [1, 2] } }, at(61, 3), 3600, 60), at(62, 4), 3600, 60);
	assert.deepEqual(w, { t: [0, 60, 62], series: { a: [1, 2, 4] } }, 'within a wide step the last point is renewed');
	w = append(append(w, at(121, 5), 3600, 60), at(122, 6), 3600, 60);
	assert.deepEqual(w.t, [0, 60, 121, 122]);
	assert.deepEqual(rate([1, 0, null], [1, 0, 1]), [50, null, null]);
	assert.deepEqual(total([[1, null], [2, null]], 2), [3, null]);
});
