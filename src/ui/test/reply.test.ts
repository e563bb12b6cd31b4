import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complete, docOf, readDocs } from '../src/core/docs';
import { errorOf, fieldsOf, infoOf, numberOf, pairsOf, type Reply, replyRows, replyText, replyWire, textOf, wordsOf } from '../src/core/reply';

const nested: Reply = ['a', 1, null, { map: [['k', [true, { double: '1.5' }]]] }, { error: 'ERR no' }, { base64: '/w==' }, []];

test('a reply becomes rows; what is folded has none', () => {
	const open = replyRows(nested, () => false, 100).rows;
	assert.deepEqual(open.map(r => [r.depth, r.label, r.kind, r.text]), [
		[0, '', 'array', ''], [1, '1', 'text', 'a'], [1, '2', 'integer', '1'], [1, '3', 'nil', 'nil'], [1, '4', 'map', ''], [2, 'k', 'array', ''],
		[3, '1', 'boolean', 'true'], [3, '2', 'double', '1.5'], [1, '5', 'error', 'ERR no'], [1, '6', 'text', '\\xff'], [1, '7', 'array', 'empty array'],
	]);
	assert.equal(replyRows(nested, (_p, d) => d >= 1, 100).rows.length, 8);
	const cut = replyRows(Array.from({ length: 1000 }, (_, i) => i), () => false, 10);
	assert.equal(cut.rows.length, 10);
	assert.ok(cut.cut);
});

test('and text as redis-cli has it, and lines as on the wire', () => {
	assert.equal(replyText(['a', [1, null]]), '1) "a"\n2) 1) (integer) 1\n   2) (nil)');
	assert.equal(replyText([]), '(empty array)');
	assert.equal(replyText('say "x"'), '"say \\"x\\""');
	assert.equal(replyWire(['ë', 1, { map: [['k', null]] }, true]), '*4\n$2\në\n:1\n%1\n$1\nk\n$-1\n#t');
});

test('RESP2 and RESP3 give the same pairs', () => {
	const three: Reply = { map: [['a', 1], ['b', 2]] };
	for (const r of [three, ['a', 1, 'b', 2], [['a', 1], ['b', 2]]] as Reply[]) {
		assert.deepEqual({ ...fieldsOf(r) }, { a: 1, b: 2 });
	}
	assert.deepEqual(pairsOf(null), []);
	assert.equal(numberOf({ integer: '9007199254740993' }), 9007199254740992);
	assert.equal(numberOf({ double: '-inf' }), Number.NEGATIVE_INFINITY);
	assert.equal(numberOf('12'), 12);
	assert.equal(numberOf(''), null);
	assert.equal(errorOf({ error: 'X' }), 'X');
	assert.equal(textOf({ verbatim: 'v' }), 'v');
});

test('lines of INFO and CLIENT LIST', () => {
	assert.equal(infoOf('# Memory\r\nused_memory:12\r\nx:a:b\r\n').x, 'a:b');
	assert.equal(infoOf('constructor:1').constructor, '1');
	assert.equal(wordsOf('id=3 addr=1:2 name= cmd=client|list').name, '');
});

const docs = readDocs([
	'set', ['summary', 'Set it', 'since', '1.0.0', 'arguments', [
		['name', 'key', 'type', 'key'], ['name', 'value', 'type', 'string'],
		['name', 'condition', 'type', 'oneof', 'flags', ['optional'], 'arguments', [['name', 'nx', 'type', 'pure-token', 'token', 'NX'], ['name', 'xx', 'type', 'pure-token', 'token', 'XX']]],
		['name', 'seconds', 'type', 'integer', 'token', 'EX', 'flags', ['optional']]]],
	'zadd', ['arguments', [['name', 'key', 'type', 'key'], ['name', 'data', 'type', 'block', 'flags', ['multiple'], 'arguments', [['name', 'score', 'type', 'double'], ['name', 'member', 'type', 'string']]]]],
	'config', ['summary', 'group', 'subcommands', ['config|get', ['summary', 'Get', 'arguments', [['name', 'parameter', 'type', 'string', 'flags', ['multiple']]]], 'config|set', ['summary', 'Set', 'arguments', []]]],
]);

test('COMMAND DOCS: syntax, help and completion', () => {
	assert.equal(docs.get('SET')?.syntax, 'SET key value [NX | XX] [EX seconds]');
	assert.equal(docs.get('ZADD')?.syntax, 'ZADD key score member [score member …]');
	assert.equal(docs.get('CONFIG GET')?.syntax, 'CONFIG GET parameter [parameter …]');
	assert.equal(docOf(docs, ['config', 'get', 'x'])?.summary, 'Get');
	assert.deepEqual(complete(docs, ['s'], true), ['SET']);
	assert.deepEqual(complete(docs, ['config', ''], true), ['GET', 'SET']);
	assert.deepEqual(complete(docs, ['config'], false), ['GET', 'SET']);
	assert.deepEqual(complete(docs, ['set', 'k', 'v', 'n'], true), ['NX']);
	assert.deepEqual(complete(docs, [], false), []);
});
