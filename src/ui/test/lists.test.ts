import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escape } from '../src/core/bin';
import { KeyStore } from '../src/core/keystore';
import { KeyTree } from '../src/core/tree';
import { barFor, barHeight, MAX_PX, reveal, scrolled, windowOf } from '../src/core/vlist';

test('the store keeps bytes, drops what comes twice, and is bounded', () => {
	const s = new KeyStore(100000, 1 << 20);
	for (let i = 0; i < 20000; i++) {
		assert.ok(s.add(`user:${i}`));
	}
	assert.equal(s.add('user:7'), false);
	assert.ok(s.add({ base64: '/wA=' }));
	assert.equal(s.count, 20001);
	assert.equal(s.key(19999), 'user:19999');
	assert.deepEqual(s.key(20000), { base64: '/wA=' });
	assert.equal(s.find('user:12345'), 12345);
	assert.equal(s.find('user:'), -1);
	const few = new KeyStore(2);
	few.add('a');
	few.add('b');
	assert.equal(few.add('c'), false);
	assert.ok(few.full);
	const small = new KeyStore(100, 4);
	assert.equal(small.add('12345'), false);
	assert.ok(small.full);
	assert.ok(new KeyStore().add(''));
});

const shown = (t: KeyTree) => Array.from({ length: t.rows }, (_, i) => { const r = t.row(i)!; return `${'  '.repeat(r.depth)}${r.label}${r.kind === 'folder' ? ` ${r.count}` : ''}`; });

test('folders by a delimiter: counts are exact, only what is open has rows', () => {
	const s = new KeyStore();
	for (const k of ['user:1', 'user:2', 'user:1:name', 'plain', 'a::b', ':x']) {
		s.add(k);
	}
	const t = new KeyTree(s, ':');
	t.update();
	assert.deepEqual(shown(t), [': 1', 'a: 1', 'user: 3', 'plain']);
	t.toggle('user:');
	assert.deepEqual(shown(t), [': 1', 'a: 1', 'user: 3', '  1: 1', '  1', '  2', 'plain']);
	s.add('user:3');
	s.add('user:1:mail');
	t.update();
	assert.deepEqual(shown(t), [': 1', 'a: 1', 'user: 5', '  1: 2', '  1', '  2', '  3', 'plain']);
	t.toggle('user:1:');
	assert.deepEqual(shown(t).slice(2, 6), ['user: 5', '  1: 2', '    name', '    mail']);
	t.toggle('user:');
	assert.equal(t.rows, 4);
	t.toggle('user:');
	assert.equal(shown(t)[4], '    name', 'what was open inside is open again');
	assert.equal(t.row(99), null);
});

test('a delimiter of several bytes, and keys that are no text', () => {
	const s = new KeyStore();
	s.add({ base64: '/zo6YQ==' }); // ff "::a"
	s.add('x::y');
	const t = new KeyTree(s, '::');
	t.update();
	assert.deepEqual(shown(t), ['x:: 1', '\\xff:: 1']);
	const r = t.row(1)!;
	assert.equal(r.kind === 'folder' && escape(r.prefix), '\\xff::');
});

test('a million keys: a tree in one pass, and rows at once', () => {
	const s = new KeyStore();
	for (let i = 0; i < 1_000_000; i++) {
		s.add(`bench:item:${i}`);
	}
	const t = new KeyTree(s, ':');
	t.update();
	assert.deepEqual(shown(t), ['bench: 1000000']);
	t.toggle('bench:');
	t.toggle('bench:item:');
	assert.equal(t.rows, 1_000_002);
	assert.equal(t.row(1_000_001)?.label, '999999');
});

test('a long list: steps are exact, the thumb is in proportion, both ends are reached', () => {
	const s = { rows: 1_000_000, row: 26, view: 600 };
	assert.equal(barHeight(s), MAX_PX);
	const room = MAX_PX - s.view;
	const full = s.rows * s.row - s.view;
	let st = { top: 0, bar: 0 };
	st = scrolled(st, 100, s);
	assert.equal(st.top, 100, 'a wheel moves by its pixels');
	st = scrolled(st, room / 2, s);
	assert.ok(Math.abs(st.top - full / 2) < 30, 'the thumb moves in proportion');
	st = scrolled(st, room, s);
	assert.equal(st.top, full);
	const w = windowOf(st.top, s);
	assert.equal(w.first + w.count, s.rows);
	st = scrolled(st, 0, s);
	assert.equal(st.top, 0);
	assert.ok(Math.abs(barFor(full, s) - room) < 1);
	const few = { rows: 10, row: 26, view: 600 };
	assert.deepEqual(windowOf(0, few), { first: 0, count: 10, offset: 0 });
	assert.equal(scrolled({ top: 0, bar: 0 }, 50, few).top, 0);
});

test('the chosen row is brought into view by the least step', () => {
	const s = { rows: 100, row: 10, view: 100 };
	assert.equal(reveal(5, 0, s), 0);
	assert.equal(reveal(10, 0, s), 10);
	assert.equal(reveal(0, 50, s), 0);
	assert.equal(reveal(99, 0, s), 900);
});
