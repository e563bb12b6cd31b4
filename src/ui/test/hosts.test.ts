import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, Host, Instance, Status } from '../src/api/types';
import { health } from '../src/core/health';
import { everyone, hostState, keyOf, label, newestFirst, placeBefore } from '../src/core/hosts';
import { mapOf } from '../src/core/map';

const inst = (name: string, kind: Instance['kind'], more: Partial<Instance> = {}): Instance => ({ name, kind, state: 'ready', wanted: 'up', pid: 1, port: 1, role: null, restarts: 0, uptime_ms: 1, lag_bytes: null, modules: [], ...more });
const runs = (role: Instance['role']): Instance[] => [inst('redis-1', 'redis', { role, lag_bytes: role === 'replica' ? 0 : null }), inst('sentinel-1', 'sentinel'), inst('proxy-1', 'proxy')];
const host = (name: string, more: Partial<Host> = {}): Host => ({ name, address: name, self: false, reachable: true, master: false, supervised: true, state: 'ready', reasons: [], instances: runs('replica'), ...more });
const good: Status = {
	name: 'main', node: 'a', version: '1', state: 'ready', master: { name: 'b/redis-1', host: 'b', port: 1, epoch: 1 }, time: 100, uptime_ms: 1, instances: runs('replica'),
	hosts: [{ name: 'a', address: 'a', self: true, reachable: true, master: false }, host('b', { master: true, instances: runs('master') }), host('c')],
};
const dead = host('c', { reachable: false, supervised: false, state: null, instances: [inst('redis-1', 'redis', { state: 'failed' }), inst('sentinel-1', 'sentinel', { state: 'failed' }), inst('proxy-1', 'proxy', { state: 'unknown', pid: null })] });
const event = (host: string, id: number, time: string): Event => ({ host, id, time, kind: 'k', subject: 's', text: 't', detail: {} });

test('the instances of all hosts are one list', () => {
	const all = everyone(good);
	assert.deepEqual(all.filter(i => i.kind === 'redis').map(i => [i.name, i.node, i.role]), [['redis-1', 'a', 'replica'], ['b/redis-1', 'b', 'master'], ['c/redis-1', 'c', 'replica']]);
	assert.equal(label(good, all[0]!), 'a/redis-1');
	// what only is seen from here has less
	const seen = everyone({ ...good, hosts: [good.hosts![0]!, host('b', { instances: [{ name: 'redis-1', kind: 'redis', state: 'ready', port: 1, role: 'master' } as Instance] })] });
	assert.deepEqual([seen[3]!.wanted, seen[3]!.pid, seen[3]!.lag_bytes], ['up', null, null]);
	const alone = { ...good };
	delete alone.hosts;
	assert.equal(label(alone, everyone(alone)[0]!), 'redis-1');
});

test('the sentence is about all hosts', () => {
	assert.deepEqual([health(good, null).grade, health(good, null).sentence], ['good', 'All writes safe on 3 servers, 3 hosts']);
	const gone = health({ ...good, state: 'degraded', reasons: ['host c cannot be reached'], hosts: [good.hosts![0]!, good.hosts![1]!, dead] }, null);
	assert.deepEqual([gone.grade, gone.sentence], ['warn', 'b/redis-1 takes writes, but host c cannot be reached']);
	const alone = health({ ...good, state: 'degraded', hosts: [good.hosts![0]!, host('b', { reachable: false }), dead] }, null);
	assert.equal(alone.grade, 'bad');
	assert.match(alone.sentence, /hears 1 of 3 hosts/);
	const ill = health({ ...good, hosts: [good.hosts![0]!, good.hosts![1]!, host('c', { state: 'degraded', reasons: ['proxy-1 does not route'] })] }, null);
	assert.deepEqual([ill.grade, ill.sentence, ill.advice], ['warn', 'Writes are safe on 3 servers; host c: degraded', 'proxy-1 does not route']);
	assert.equal(health({ ...good, hosts: [good.hosts![0]!, good.hosts![1]!, host('c', { supervised: false, state: null })] }, null).grade, 'warn');
	assert.equal(hostState(dead).grade, 'bad');
});

test('the picture has the servers of all hosts', () => {
	const m = mapOf({ ...good, hosts: [good.hosts![0]!, good.hosts![1]!, dead] }, {}, {}, false);
	assert.deepEqual(m.nodes.filter(n => n.look === 'master').map(n => n.label), ['b/redis-1']);
	assert.deepEqual(m.nodes.filter(n => n.look === 'down').map(n => n.label).sort(), ['c/redis-1', 'c/sentinel-1']);
	assert.deepEqual(m.nodes.filter(n => n.look === 'off').map(n => [n.label, n.second]), [['c/proxy-1', 'not heard']]);
	assert.ok(m.nodes.some(n => n.label === 'a/proxy-1' && n.name === 'proxy-1'));
});

test('events of all hosts are in one order, and a place is before all of them', () => {
	const list = newestFirst([event('a', 2, '12:02'), event('b', 9, '12:01'), event('a', 3, '12:00'), event('b', 8, '12:01')]);
	assert.deepEqual(list.map(keyOf), ['b:9', 'b:8', 'a:3', 'a:2']);
	assert.deepEqual(newestFirst([event('a', 1, '12:00'), event('b', 1, '12:01')]).map(keyOf), ['b:1', 'a:1']);
	assert.equal(placeBefore(list, 'a:7,b:7,c:4'), 'a:2,b:8,c:4');
	assert.equal(placeBefore([], ''), '');
});
