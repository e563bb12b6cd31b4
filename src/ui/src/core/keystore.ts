// Names of keys found by SCAN, in bounded memory: one arena of bytes, one array of offsets, and a table of hashes that
// drops what SCAN reports twice. A million keys of 20 bytes take some 32 MB here; as strings they took five times that.
import { type Bin, fromBytes, toBytes } from './bin';

export const MAX_KEYS = 2_000_000;
export const MAX_BYTES = 128 * 1024 * 1024;

function hash(b: Uint8Array): number {
	let h = 0x811c9dc5;
	for (let i = 0; i < b.length; i++) {
		h = Math.imul(h ^ b[i]!, 0x01000193);
	}
	h ^= h >>> 15;
	return h >>> 0;
}

export class KeyStore {
	count = 0;
	full = false;
	private arena = new Uint8Array(64 * 1024);
	private ends = new Uint32Array(1024); // key i is arena[ends[i-1] .. ends[i])
	private table = new Int32Array(4096).fill(-1);

	constructor(private maxKeys = MAX_KEYS, private maxBytes = MAX_BYTES) {}

	private start(i: number): number {
		return i === 0 ? 0 : this.ends[i - 1]!;
	}

	bytes(i: number): Uint8Array {
		return this.arena.subarray(this.start(i), this.ends[i]!);
	}

	key(i: number): Bin {
		return fromBytes(this.bytes(i));
	}

	// The index of a key that is here, or -1.
	find(key: Bin): number {
		return this.slot(toBytes(key)).index;
	}

	private slot(b: Uint8Array): { at: number; index: number } {
		const mask = this.table.length - 1;
		for (let at = hash(b) & mask; ; at = (at + 1) & mask) {
			const index = this.table[at]!;
			if (index < 0) {
				return { at, index: -1 };
			}
			const from = this.start(index);
			if (this.ends[index]! - from === b.length) {
				let k = 0;
				while (k < b.length && this.arena[from + k] === b[k]) {
					k++;
				}
				if (k === b.length) {
					return { at, index };
				}
			}
		}
	}

	// True when it is new; false when it was here or there is no room (then full is true).
	add(key: Bin): boolean {
		const b = toBytes(key);
		const { at, index } = this.slot(b);
		if (index >= 0) {
			return false;
		}
		const from = this.count === 0 ? 0 : this.ends[this.count - 1]!;
		if (this.count >= this.maxKeys || from + b.length > this.maxBytes) {
			this.full = true;
			return false;
		}
		if (from + b.length > this.arena.length) {
			const bigger = new Uint8Array(Math.min(this.maxBytes, Math.max(this.arena.length * 2, from + b.length)));
			bigger.set(this.arena);
			this.arena = bigger;
		}
		if (this.count >= this.ends.length) {
			const bigger = new Uint32Array(this.ends.length * 2);
			bigger.set(this.ends);
			this.ends = bigger;
		}
		this.arena.set(b, from);
		this.ends[this.count] = from + b.length;
		this.table[at] = this.count++;
		if (this.count * 2 > this.table.length) {
			this.table = new Int32Array(this.table.length * 2).fill(-1);
			const mask = this.table.length - 1;
			for (let i = 0; i < this.count; i++) {
				let s = hash(this.bytes(i)) & mask;
				while (this.table[s]! >= 0) {
					s = (s + 1) & mask;
				}
				this.table[s] = i;
			}
		}
		return true;
	}
}
