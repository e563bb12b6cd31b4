// Keys as folders by a delimiter. Only folders that somebody has opened know their children, so that a tree over a
// million keys costs what is shown; others know how many keys are below them.
import { type Bin, escape, fromBytes, toBytes } from './bin';
import type { KeyStore } from './keystore';

interface Folder {
	name: Uint8Array; // with the delimiter behind it
	prefix: Uint8Array; // from the root, with the delimiter
	depth: number;
	count: number; // keys below
	open: boolean;
	folders: Map<string, Folder>;
	sorted: Folder[] | null;
	keys: number[];
	made: boolean;
}

export type TreeRow =
	| { kind: 'folder'; id: string; label: string; depth: number; count: number; open: boolean; prefix: Bin }
	| { kind: 'key'; index: number; label: string; depth: number };

const latin = (b: Uint8Array): string => {
	let s = '';
	for (let i = 0; i < b.length; i++) {
		s += String.fromCharCode(b[i]!);
	}
	return s;
};

function indexOf(b: Uint8Array, what: Uint8Array, from: number): number {
	outer: for (let i = from; i + what.length <= b.length; i++) {
		for (let k = 0; k < what.length; k++) {
			if (b[i + k] !== what[k]) {
				continue outer;
			}
		}
		return i;
	}
	return -1;
}

function startsWith(b: Uint8Array, what: Uint8Array): boolean {
	if (b.length < what.length) {
		return false;
	}
	for (let k = 0; k < what.length; k++) {
		if (b[k] !== what[k]) {
			return false;
		}
	}
	return true;
}

type Segment = { folder: Folder } | { of: Folder; from: number; length: number };

export class KeyTree {
	rows = 0;
	private root: Folder;
	private segments: { at: number; what: Segment }[] = [];
	private seen = 0;
	private delimiter: Uint8Array;
	private openIds = new Set<string>();

	constructor(private store: KeyStore, delimiter: string) {
		this.delimiter = toBytes(delimiter === '' ? ':' : delimiter);
		const none = new Uint8Array(0);
		this.root = { name: none, prefix: none, depth: -1, count: 0, open: true, folders: new Map(), sorted: null, keys: [], made: true };
	}

	// Takes in what the store got since; then the rows are counted anew.
	update(): void {
		for (; this.seen < this.store.count; this.seen++) {
			this.place(this.root, this.seen);
		}
		this.layout();
	}

	private place(top: Folder, index: number): void {
		const b = this.store.bytes(index);
		let f = top;
		for (;;) {
			f.count++;
			if (!f.made) {
				return;
			}
			const cut = indexOf(b, this.delimiter, f.prefix.length);
			if (cut < 0) {
				f.keys.push(index);
				return;
			}
			const end = cut + this.delimiter.length;
			const name = b.slice(f.prefix.length, end);
			const id = latin(name);
			let child = f.folders.get(id);
			if (!child) {
				child = { name, prefix: b.slice(0, end), depth: f.depth + 1, count: 0, open: false, folders: new Map(), sorted: null, keys: [], made: false };
				f.folders.set(id, child);
				f.sorted = null;
				if (this.openIds.has(latin(child.prefix))) {
					child.open = true;
					child.made = true;
				}
			}
			f = child;
		}
	}

	toggle(id: string): void {
		const f = this.folder(id);
		if (!f) {
			return;
		}
		f.open = !f.open;
		if (f.open) {
			this.openIds.add(id);
		} else {
			this.openIds.delete(id);
		}
		if (f.open && !f.made) {
			f.made = true;
			f.count = 0;
			for (let i = 0; i < this.seen; i++) {
				if (startsWith(this.store.bytes(i), f.prefix)) {
					this.place(f, i);
				}
			}
		}
		this.layout();
	}

	private folder(id: string): Folder | null {
		let f = this.root;
		while (f !== null && latin(f.prefix) !== id) {
			let next: Folder | null = null;
			for (const c of f.folders.values()) {
				if (id.startsWith(latin(c.prefix))) {
					next = c;
					break;
				}
			}
			if (!next) {
				return null;
			}
			f = next;
		}
		return f;
	}

	private layout(): void {
		this.segments = [];
		this.rows = 0;
		const walk = (f: Folder): void => {
			f.sorted ??= [...f.folders.values()].sort((a, b) => (latin(a.name) < latin(b.name) ? -1 : 1));
			for (const c of f.sorted) {
				this.segments.push({ at: this.rows++, what: { folder: c } });
				if (c.open) {
					walk(c);
				}
			}
			if (f.keys.length > 0) {
				this.segments.push({ at: this.rows, what: { of: f, from: 0, length: f.keys.length } });
				this.rows += f.keys.length;
			}
		};
		walk(this.root);
	}

	row(i: number): TreeRow | null {
		let lo = 0;
		let hi = this.segments.length - 1;
		while (lo < hi) {
			const mid = (lo + hi + 1) >> 1;
			if (this.segments[mid]!.at <= i) {
				lo = mid;
			} else {
				hi = mid - 1;
			}
		}
		const s = this.segments[lo];
		if (!s || i < 0 || i >= this.rows) {
			return null;
		}
		if ('folder' in s.what) {
			const f = s.what.folder;
			return { kind: 'folder', id: latin(f.prefix), label: escape(fromBytes(f.name)), depth: f.depth, count: f.count, open: f.open, prefix: fromBytes(f.prefix) };
		}
		const f = s.what.of;
		const index = f.keys[i - s.at]!;
		return { kind: 'key', index, label: escape(fromBytes(this.store.bytes(index).subarray(f.prefix.length))), depth: f.depth + 1 };
	}
}
