import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, dated, duration, micros, parseDuration, percent, short, ttl, whole } from '../src/core/format';
import { compact, pretty } from '../src/core/json';
import { danger, elsewhere, globEscape, parseLines, parseWords } from '../src/core/words';

test('figures have few digits and a unit', () => {
	assert.deepEqual([0, 5, 999, 1234, 12345, 123456, 999999, 1e6, 0.25].map(short), ['0', '5', '999', '1.23 k', '12.3 k', '123 k', '1.00 M', '1 M', '0.25']);
	assert.deepEqual([0, 1023, 1024, 1536, 1048576, 5e12].map(bytes), ['0 B', '1023 B', '1 KiB', '1.50 KiB', '1 MiB', '4.55 TiB']);
	assert.deepEqual([3, 999, 1500, 2.5e6].map(micros), ['3 µs', '999 µs', '1.50 ms', '2.50 s']);
	assert.deepEqual([5, 900, 1500, 59000, 60000, 3661000, 90000000].map(duration), ['5 ms', '900 ms', '1.5 s', '59 s', '1 min', '1 h 1 min', '1 d 1 h']);
	assert.equal(short(null), '–');
	assert.equal(whole(1234567), '1,234,567');
	assert.equal(percent(1, 3), '33.3 %');
	assert.equal(percent(1, 0), '–');
	assert.equal(percent(99999, 100000), '>99.9 %');
	assert.equal(ttl(-1), 'never');
	const now = new Date(2026, 2, 5, 12, 0, 0);
	assert.deepEqual([new Date(2026, 2, 5, 3, 4, 5), new Date(2026, 2, 4, 3, 4, 5), new Date(2026, 1, 4, 3, 4, 5), new Date(2025, 1, 4, 3, 4, 5)].map(t => dated(t, now)), ['03:04:05', 'yesterday, 03:04:05', '4 Feb, 03:04:05', '4 Feb 2025, 03:04:05']);
	assert.deepEqual(['90', '90s', '15m', '2h', '7d', '2 w', 'x', '-1', ''].map(parseDuration), [90, 90, 900, 7200, 604800, 1209600, null, null, null]);
});

test('JSON is laid out without touching a token', () => {
	const text = '{"a":9007199254740993,"b":[1.0,1e5,{}],"c":"x\\u0041","d":[]}';
	assert.equal(pretty(text), '{\n  "a": 9007199254740993,\n  "b": [\n    1.0,\n    1e5,\n    {}\n  ],\n  "c": "x\\u0041",\n  "d": []\n}');
	assert.equal(compact(pretty(text) ?? ''), text);
	assert.equal(pretty('{a:1}'), null);
	assert.equal(pretty('[1,]'), null);
	assert.equal(pretty('"s"'), '"s"');
});

test('a command line is read as redis-cli reads it', () => {
	assert.deepEqual(parseWords('set k "a\\x00\\xff b"').words, ['set', 'k', { base64: 'YQD/IGI=' }]);
	assert.deepEqual(parseWords("set k 'it\\'s \\n'").words, ['set', 'k', "it's \\n"]);
	assert.deepEqual(parseWords('get ""').words, ['get', '']);
	assert.ok(parseWords('get "a').fault);
	assert.ok(parseWords('get "a"b').fault);
	assert.equal(parseWords('get a').open, true);
	assert.equal(parseWords('get a ').open, false);
	assert.deepEqual(parseLines('ping\n# no\n\n get a ').map(l => l.line), ['ping', 'get a']);
});

test('what could do harm is asked for, in any case of letters', () => {
	for (const l of ['FLUSHALL', 'flushdb async', 'config set maxmemory 1', 'Shutdown', 'keys *', 'debug sleep 1', 'client kill id 3', 'acl deluser x', 'script flush', 'sentinel failover main']) {
		assert.ok(danger(parseWords(l).words), l);
	}
	for (const l of ['get a', 'set a b', 'config get *', 'client list', 'acl list', 'debug object x', 'script exists x', 'sentinel masters', 'info']) {
		assert.equal(danger(parseWords(l).words), null, l);
	}
	assert.equal(elsewhere(['monitor']), 'tools/monitor');
	assert.equal(elsewhere(['get']), null);
	assert.equal(globEscape('a*[b]?\\'), 'a\\*\\[b\\]\\?\\\\');
});
