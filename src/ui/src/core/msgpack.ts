// MessagePack as a value that can be shown; null: these bytes are not one whole MessagePack object.

export type Packed = null | boolean | number | bigint | string | Uint8Array | Packed[] | { pairs: [Packed, Packed][] } | { ext: number; data: Uint8Array };

const MAX_DEPTH = 64;

export function unpack(bytes: Uint8Array): { value: Packed } | null {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
	let at = 0;
	const need = (n: number): number => {
		if (at + n > bytes.length) {
			throw new RangeError('short');
		}
		at += n;
		return at - n;
	};
	const u8 = () => view.getUint8(need(1));
	const u16 = () => view.getUint16(need(2));
	const u32 = () => view.getUint32(need(4));
	const raw = (n: number) => {
		const p = need(n);
		return bytes.subarray(p, p + n);
	};
	const small = (x: bigint) => (x >= BigInt(Number.MIN_SAFE_INTEGER) && x <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(x) : x);
	const array = (n: number, depth: number): Packed[] => {
		if (n > bytes.length - at) {
			throw new RangeError('short');
		}
		return Array.from({ length: n }, () => one(depth + 1));
	};
	const map = (n: number, depth: number): Packed => {
		if (n * 2 > bytes.length - at) {
			throw new RangeError('short');
		}
		return { pairs: Array.from({ length: n }, () => [one(depth + 1), one(depth + 1)] as [Packed, Packed]) };
	};
	const ext = (n: number): Packed => {
		const type = view.getInt8(need(1));
		return { ext: type, data: raw(n) };
	};
	const one = (depth: number): Packed => {
		if (depth > MAX_DEPTH) {
			throw new RangeError('deep');
		}
		const b = u8();
		if (b < 0x80) {
			return b;
		}
		if (b < 0x90) {
			return map(b & 15, depth);
		}
		if (b < 0xa0) {
			return array(b & 15, depth);
		}
		if (b < 0xc0) {
			return text.decode(raw(b & 31));
		}
		if (b >= 0xe0) {
			return b - 256;
		}
		switch (b) {
			case 0xc0: return null;
			case 0xc2: return false;
			case 0xc3: return true;
			case 0xc4: return raw(u8());
			case 0xc5: return raw(u16());
			case 0xc6: return raw(u32());
			case 0xc7: return ext(u8());
			case 0xc8: return ext(u16());
			case 0xc9: return ext(u32());
			case 0xca: return view.getFloat32(need(4));
			case 0xcb: return view.getFloat64(need(8));
			case 0xcc: return u8();
			case 0xcd: return u16();
			case 0xce: return u32();
			case 0xcf: return small(view.getBigUint64(need(8)));
			case 0xd0: return view.getInt8(need(1));
			case 0xd1: return view.getInt16(need(2));
			case 0xd2: return view.getInt32(need(4));
			case 0xd3: return small(view.getBigInt64(need(8)));
			case 0xd4: return ext(1);
			case 0xd5: return ext(2);
			case 0xd6: return ext(4);
			case 0xd7: return ext(8);
			case 0xd8: return ext(16);
			case 0xd9: return text.decode(raw(u8()));
			case 0xda: return text.decode(raw(u16()));
			case 0xdb: return text.decode(raw(u32()));
			case 0xdc: return array(u16(), depth);
			case 0xdd: return array(u32(), depth);
			case 0xde: return map(u16(), depth);
			case 0xdf: return map(u32(), depth);
			default: throw new RangeError('unused');
		}
	};
	try {
		const value = one(0);
		return at === bytes.length ? { value } : null;
	} catch {
		return null;
	}
}

export function packedText(v: Packed, indent = ''): string {
	const deeper = `${indent}  `;
	if (v === null || typeof v === 'boolean' || typeof v === 'number' || typeof v === 'bigint') {
		return String(v);
	}
	if (typeof v === 'string') {
		return JSON.stringify(v);
	}
	const hex = (b: Uint8Array) => [...b.subarray(0, 64)].map(x => x.toString(16).padStart(2, '0')).join('') + (b.length > 64 ? `… ${b.length} bytes` : '');
	if (v instanceof Uint8Array) {
		return `bin(${hex(v)})`;
	}
	if (Array.isArray(v)) {
		return v.length === 0 ? '[]' : `[\n${v.map(x => deeper + packedText(x, deeper)).join(',\n')}\n${indent}]`;
	}
	if ('ext' in v) {
		return `ext(${v.ext}, ${hex(v.data)})`;
	}
	return v.pairs.length === 0 ? '{}' : `{\n${v.pairs.map(([k, x]) => `${deeper}${packedText(k, deeper)}: ${packedText(x, deeper)}`).join(',\n')}\n${indent}}`;
}
