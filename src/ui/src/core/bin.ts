// Bytes as the interface carries them: text where they are UTF-8, else base64. A Bin goes back to the server as it
// came, so a key or value that nobody edited is exact, whatever the page shows of it.

export type Bin = string | { base64: string };

const utf8 = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function isBin(x: unknown): x is Bin {
	return typeof x === 'string' || (typeof x === 'object' && x !== null && typeof (x as { base64?: unknown }).base64 === 'string');
}

export function toBytes(b: Bin): Uint8Array {
	if (typeof b === 'string') {
		return utf8.encode(b);
	}
	const s = atob(b.base64);
	const out = new Uint8Array(s.length);
	for (let i = 0; i < s.length; i++) {
		out[i] = s.charCodeAt(i);
	}
	return out;
}

export function toBase64(bytes: Uint8Array): string {
	let s = '';
	for (let i = 0; i < bytes.length; i += 0x8000) {
		s += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
	}
	return btoa(s);
}

export function fromBytes(bytes: Uint8Array): Bin {
	try {
		return strict.decode(bytes);
	} catch {
		return { base64: toBase64(bytes) };
	}
}

export function byteLength(b: Bin): number {
	if (typeof b === 'string') {
		return utf8.encode(b).length;
	}
	const n = b.base64.length;
	return (n / 4) * 3 - (b.base64.endsWith('==') ? 2 : b.base64.endsWith('=') ? 1 : 0);
}

export function sameBin(a: Bin, b: Bin): boolean {
	return typeof a === 'string' || typeof b === 'string' ? a === b : a.base64 === b.base64;
}

const NAMED: Record<number, string> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 13: '\\r', 92: '\\\\' };

// One line that shows every byte: printable text as it is, the rest as redis-cli writes it (\n, \x00). Also hides nothing:
// marks that turn the direction of text around or have no width are shown by their bytes.
export function escape(b: Bin): string {
	if (typeof b === 'string') {
		return escapeText(b);
	}
	let out = '';
	for (const c of toBytes(b)) {
		out += NAMED[c] ?? (c >= 32 && c < 127 ? String.fromCharCode(c) : `\\x${c.toString(16).padStart(2, '0')}`);
	}
	return out;
}

const UNSEEN = /[\u0000-\u001f\\\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

function escapeText(s: string): string {
	return s.replace(UNSEEN, c => NAMED[c.charCodeAt(0)] ?? [...utf8.encode(c)].map(x => `\\x${x.toString(16).padStart(2, '0')}`).join(''));
}

const LETTERS: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, r: 13 };

// The other way: what escape() shows becomes the same bytes again. A backslash before anything else is that character.
export function unescape(text: string): Bin {
	if (!text.includes('\\')) {
		return text;
	}
	const parts: number[] = [];
	for (let i = 0; i < text.length; ) {
		const c = text.codePointAt(i)!;
		const ch = String.fromCodePoint(c);
		if (ch !== '\\' || i + 1 >= text.length) {
			parts.push(...utf8.encode(ch));
			i += ch.length;
			continue;
		}
		const next = text[i + 1]!;
		const hex = /^[0-9a-fA-F]{2}/.exec(text.slice(i + 2));
		if (next === 'x' && hex) {
			parts.push(Number.parseInt(hex[0], 16));
			i += 4;
		} else if (next in LETTERS) {
			parts.push(LETTERS[next]!);
			i += 2;
		} else {
			const after = String.fromCodePoint(text.codePointAt(i + 1)!);
			parts.push(...utf8.encode(after));
			i += 1 + after.length;
		}
	}
	return fromBytes(Uint8Array.from(parts));
}

// For addresses: each byte that is not unreserved in a URI as %XX, so that any key has a link.
export function toLink(b: Bin): string {
	let out = '';
	for (const c of toBytes(b)) {
		const plain = (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 45 || c === 46 || c === 95 || c === 126 || c === 58;
		out += plain ? String.fromCharCode(c) : `%${c.toString(16).toUpperCase().padStart(2, '0')}`;
	}
	return out;
}

export function fromLink(text: string): Bin {
	const parts: number[] = [];
	for (let i = 0; i < text.length; ) {
		const hex = text[i] === '%' ? /^[0-9a-fA-F]{2}/.exec(text.slice(i + 1)) : null;
		if (hex) {
			parts.push(Number.parseInt(hex[0], 16));
			i += 3;
		} else {
			const ch = String.fromCodePoint(text.codePointAt(i)!);
			parts.push(...utf8.encode(ch));
			i += ch.length;
		}
	}
	return fromBytes(Uint8Array.from(parts));
}

export interface HexLine {
	offset: string;
	hex: string;
	text: string;
}

export function hexLines(bytes: Uint8Array, from: number, count: number): HexLine[] {
	const out: HexLine[] = [];
	for (let at = from * 16; at < bytes.length && out.length < count; at += 16) {
		const row = [...bytes.subarray(at, at + 16)];
		out.push({
			offset: at.toString(16).padStart(8, '0'),
			hex: row.map(x => x.toString(16).padStart(2, '0')).join(' '),
			text: row.map(x => (x >= 32 && x < 127 ? String.fromCharCode(x) : '·')).join(''),
		});
	}
	return out;
}

export function fromHex(text: string): Uint8Array | null {
	const digits = text.replace(/[\s:]/g, '');
	if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) {
		return null;
	}
	return Uint8Array.from(digits.match(/../g) ?? [], x => Number.parseInt(x, 16));
}

export function toHex(bytes: Uint8Array): string {
	return [...bytes].map((x, i) => (i > 0 && i % 16 === 0 ? '\n' : i > 0 ? ' ' : '') + x.toString(16).padStart(2, '0')).join('');
}

// What the first bytes say a picture is; null: not one that browsers show.
export function imageType(b: Uint8Array): string | null {
	const is = (...x: number[]) => x.every((v, i) => b[i] === v);
	if (is(0x89, 0x50, 0x4e, 0x47)) {
		return 'image/png';
	}
	if (is(0xff, 0xd8, 0xff)) {
		return 'image/jpeg';
	}
	if (is(0x47, 0x49, 0x46, 0x38)) {
		return 'image/gif';
	}
	if (is(0x52, 0x49, 0x46, 0x46) && b[8] === 0x57 && b[9] === 0x45) {
		return 'image/webp';
	}
	return null;
}
