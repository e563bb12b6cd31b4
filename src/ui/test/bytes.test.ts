import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteLength, escape, fromBytes, fromHex, fromLink, hexLines, imageType, toBytes, toHex, toLink, unescape } from '../src/core/bin';
import { packedText, unpack } from '../src/core/msgpack';

const every = Uint8Array.from({ length: 256 }, (_, i) => i);

test('every byte survives escaping, links, hex and the interface\'s own form', () => {
	for (const b of [every, new Uint8Array(0), toBytes('Zoë 𝄞 \\x41 "quoted" \r\n\t'), Uint8Array.of(0xef, 0xbb, 0xbf, 65), toBytes('a\\')]) {
		const bin = fromBytes(b);
		assert.deepEqual([...toBytes(bin)], [...b]);
		assert.deepEqual([...toBytes(unescape(escape(bin)))], [...b]);
		assert.deepEqual([...toBytes(fromLink(toLink(bin)))], [...b]);
		assert.deepEqual([...(fromHex(toHex(b)) ?? [])], [...b]);
		assert.equal(byteLength(bin), b.length);
	}
});

test('what cannot be seen is shown by its bytes', () => {
	assert.equal(escape('a\u202eb'), 'a\\xe2\\x80\\xaeb');
	assert.equal(escape('\u200b'), '\\xe2\\x80\\x8b');
	assert.equal(escape('<b>'), '<b>');
	assert.equal(escape({ base64: '/wBh' }), '\\xff\\x00a');
});

test('a link has nothing that ends it', () => {
	assert.equal(toLink('a/b?c#d e%'), 'a%2Fb%3Fc%23d%20e%25');
	assert.deepEqual(fromLink('%FF'), { base64: '/w==' });
	assert.equal(fromLink('100%'), '100%');
});

test('hex lines begin anywhere and end with the bytes', () => {
	const l = hexLines(every, 15, 5);
	assert.equal(l.length, 1);
	assert.equal(l[0]?.offset, '000000f0');
	assert.equal(fromHex('abc'), null);
	assert.equal(fromHex('zz'), null);
});

test('pictures are told by their first bytes', () => {
	assert.equal(imageType(Uint8Array.of(0x89, 0x50, 0x4e, 0x47)), 'image/png');
	assert.equal(imageType(toBytes('<svg')), null);
});

test('MessagePack: whole objects only, and bounded', () => {
	const show = (...b: number[]) => { const u = unpack(Uint8Array.from(b)); return u === null ? null : packedText(u.value); };
	assert.equal(show(0x83, 0xa1, 0x61, 1, 0xa1, 0x62, 0xc0, 0xa1, 0x63, 0x92, 0xc3, 0xff), '{\n  "a": 1,\n  "b": null,\n  "c": [\n    true,\n    -1\n  ]\n}');
	assert.equal(show(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), '18446744073709551615');
	assert.equal(show(0xc4, 2, 1, 255), 'bin(01ff)');
	assert.equal(show(0xd4, 5, 7), 'ext(5, 07)');
	assert.equal(show(1, 2), null, 'bytes behind it');
	assert.equal(show(0xdd, 0xff, 0xff, 0xff, 0xff), null, 'more elements than bytes');
	assert.equal(show(...Array.from({ length: 200 }, () => 0x91), 1), null, 'too deep');
	assert.equal(show(0xa2, 0xff, 0xff), null, 'no UTF-8');
	assert.equal(show(), null);
});
