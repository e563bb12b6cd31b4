// What a sample of keys says about memory: shares by prefix and type, how long keys live, the biggest ones, advice.
import { type Bin, escape } from './bin';

export interface Sampled {
	key: Bin;
	type: string;
	bytes: number;
	ttl_s: number; // -1: does not expire
	encoding?: string;
	items?: number;
}

export interface Share {
	name: string;
	keys: number;
	bytes: number;
}

export interface PrefixNode {
	name: string; // its own part
	path: string; // from the root
	keys: number;
	bytes: number;
	children: PrefixNode[];
}

// Folders of at most `depth` levels; below the `top` biggest of each level the rest is one node "others".
export function prefixTree(sample: Sampled[], delimiter: string, depth: number, top: number): PrefixNode {
	interface Raw { keys: number; bytes: number; children: Map<string, Raw> }
	const root: Raw = { keys: 0, bytes: 0, children: new Map() };
	for (const s of sample) {
		const parts = escape(s.key).split(delimiter);
		let n = root;
		n.keys++;
		n.bytes += s.bytes;
		for (let i = 0; i < Math.min(depth, parts.length - 1 || 1); i++) {
			const label = i < parts.length - 1 ? parts[i]! + delimiter : parts[i]!;
			let c = n.children.get(label);
			if (!c) {
				c = { keys: 0, bytes: 0, children: new Map() };
				n.children.set(label, c);
			}
			c.keys++;
			c.bytes += s.bytes;
			n = c;
		}
	}
	const build = (name: string, path: string, r: Raw): PrefixNode => {
		const all = [...r.children].sort((a, b) => b[1].bytes - a[1].bytes);
		const children = all.slice(0, top).map(([k, v]) => build(k, path + k, v));
		const rest = all.slice(top);
		if (rest.length > 0) {
			children.push({ name: `${rest.length} others`, path: `${path}…`, keys: rest.reduce((a, x) => a + x[1].keys, 0), bytes: rest.reduce((a, x) => a + x[1].bytes, 0), children: [] });
		}
		const inside = children.reduce((a, c) => a + c.bytes, 0);
		if (children.length > 0 && r.bytes - inside > 0) {
			children.push({ name: 'keys here', path: `${path}·`, keys: r.keys - children.reduce((a, c) => a + c.keys, 0), bytes: r.bytes - inside, children: [] });
		}
		return { name, path, keys: r.keys, bytes: r.bytes, children };
	};
	return build('all', '', root);
}

export function byType(sample: Sampled[]): Share[] {
	const m = new Map<string, Share>();
	for (const s of sample) {
		const x = m.get(s.type) ?? { name: s.type, keys: 0, bytes: 0 };
		x.keys++;
		x.bytes += s.bytes;
		m.set(s.type, x);
	}
	return [...m.values()].sort((a, b) => b.bytes - a.bytes);
}

export const TTL_BOUNDS: [number, string][] = [[60, '< 1 min'], [3600, '< 1 h'], [86400, '< 1 d'], [604800, '< 1 w'], [2592000, '< 30 d'], [Number.POSITIVE_INFINITY, '≥ 30 d']];

export function byTtl(sample: Sampled[]): Share[] {
	const out: Share[] = [...TTL_BOUNDS.map(([, name]) => ({ name, keys: 0, bytes: 0 })), { name: 'never', keys: 0, bytes: 0 }];
	for (const s of sample) {
		const i = s.ttl_s < 0 ? out.length - 1 : TTL_BOUNDS.findIndex(([b]) => s.ttl_s < b);
		out[i]!.keys++;
		out[i]!.bytes += s.bytes;
	}
	return out;
}

export function biggest(sample: Sampled[], n: number): Sampled[] {
	return [...sample].sort((a, b) => b.bytes - a.bytes).slice(0, n);
}

// A collection that is not kept in the compact form.
export function isLoose(s: Sampled): boolean {
	return ((s.type === 'hash' || s.type === 'set') && s.encoding === 'hashtable') || (s.type === 'zset' && s.encoding === 'skiplist');
}

export interface Advice {
	grade: 'note' | 'warn';
	text: string;
	why: string;
}

export interface ServerFigures {
	used: number;
	rss: number;
	peak: number;
	max: number; // 0: none
	policy: string;
	fragmentation: number;
	keys: number;
}

export function advise(sample: Sampled[], f: ServerFigures): Advice[] {
	const out: Advice[] = [];
	const total = sample.reduce((a, s) => a + s.bytes, 0) || 1;
	if (f.max > 0 && f.used / f.max > 0.9) {
		out.push({ grade: 'warn', text: `Memory is at ${Math.round((f.used / f.max) * 100)} % of maxmemory`, why: f.policy === 'noeviction' ? 'Writes fail with OOM once it is full: raise maxmemory, let keys expire, or choose an eviction policy.' : `Keys are evicted (${f.policy}) once it is full.` });
	}
	if (f.max === 0) {
		out.push({ grade: 'note', text: 'No maxmemory is set', why: 'The server may grow until the system ends it. Set redis.maxmemory below what the host has, with room for a fork.' });
	}
	if (f.fragmentation > 1.5 && f.rss - f.used > 64 * 1024 * 1024) {
		out.push({ grade: 'warn', text: `Fragmentation is ${f.fragmentation.toFixed(2)}`, why: 'The system gives more memory than the data needs: redis.config.activedefrag = yes, or a rolling restart.' });
	}
	const big = biggest(sample, 1)[0];
	if (big && big.bytes > 1024 * 1024) {
		out.push({ grade: big.bytes > 64 * 1024 * 1024 ? 'warn' : 'note', text: `One key has ${Math.round(big.bytes / 1024 / 1024)} MiB`, why: `${escape(big.key)}: deleting or copying it at once holds the server up; UNLINK deletes in the background. Split it if it grows.` });
	}
	const never = sample.filter(s => s.ttl_s < 0).reduce((a, s) => a + s.bytes, 0) / total;
	if (never > 0.95 && f.max > 0 && f.policy.startsWith('volatile')) {
		out.push({ grade: 'warn', text: 'Hardly a key expires, yet only those that do may be evicted', why: `${f.policy} finds nothing to evict: use an allkeys policy or give keys a time to live.` });
	}
	const soon = sample.filter(s => s.ttl_s >= 0 && s.ttl_s < 60).length / Math.max(1, sample.length);
	if (soon > 0.5) {
		out.push({ grade: 'note', text: 'More than half of the keys live less than a minute', why: 'Expiry is work, too: many keys of the same second make latency spikes. Spread the times a little.' });
	}
	const small = sample.filter(s => s.type === 'string' && s.bytes < 100);
	if (small.length > sample.length * 0.6 && f.keys > 100000) {
		out.push({ grade: 'note', text: 'Most keys are tiny strings', why: 'Each costs some 50 to 70 bytes beside its value; fields of small hashes (listpack) cost a fraction.' });
	}
	const long = sample.filter(s => escape(s.key).length > 100).length / Math.max(1, sample.length);
	if (long > 0.2) {
		out.push({ grade: 'note', text: 'Many keys have names of more than 100 bytes', why: 'A name is stored with each key; shorter ones save memory and traffic.' });
	}
	const loose = sample.filter(isLoose);
	const almost = loose.filter(s => s.items !== undefined && s.items > 128 && s.items <= 512);
	if (almost.length > 10 && almost.length > loose.length / 4) {
		out.push({ grade: 'note', text: 'Many collections are just beyond the compact form', why: 'redis.config.zset-max-listpack-entries = 512 (for sets set-max-listpack-entries, from Redis 7.2) would keep them compact, at a little CPU.' });
	}
	if (out.length === 0) {
		out.push({ grade: 'note', text: 'Nothing stands out', why: 'No share of memory, key or time to live in this sample calls for a change.' });
	}
	return out;
}
