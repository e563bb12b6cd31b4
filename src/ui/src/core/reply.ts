// A reply of the server, as the interface carries it: nothing of RESP is lost, and what is common is short.
//   bulk "text" or {base64} · integer 1, {integer:"…"} beyond 2^53 · nil null · array […] · boolean · {status} · {error}
//   {double} · {map:[[k,v],…]} · {set:[…]} · {push:[…]} · {verbatim:…} · {bignum} · {cut:bytes} what was too large to be sent
import { type Bin, byteLength, escape, isBin } from './bin';

export type Reply =
	| null | boolean | number | string | Reply[]
	| { base64: string } | { integer: string } | { status: string } | { error: string } | { double: string }
	| { bignum: string } | { cut: number } | { verbatim: Reply } | { map: [Reply, Reply][] } | { set: Reply[] } | { push: Reply[] };

export function errorOf(r: Reply | undefined): string | null {
	return typeof r !== 'object' || r === null ? null : 'error' in r ? r.error : 'cut' in r ? textOf(r) : null;
}

export function numberOf(r: Reply | undefined): number | null {
	if (typeof r === 'number') {
		return r;
	}
	if (typeof r === 'string') {
		return r !== '' && Number.isFinite(Number(r)) ? Number(r) : null;
	}
	if (typeof r === 'object' && r !== null) {
		if ('integer' in r) {
			return Number(r.integer);
		}
		if ('status' in r) {
			return numberOf(r.status); // as modules send doubles in RESP2
		}
		if ('double' in r) {
			return r.double === 'inf' ? Number.POSITIVE_INFINITY : r.double === '-inf' ? Number.NEGATIVE_INFINITY : Number(r.double);
		}
	}
	return null;
}

export function textOf(r: Reply | undefined): string {
	if (r === null || r === undefined) {
		return '';
	}
	if (typeof r === 'string') {
		return r;
	}
	if (typeof r === 'number' || typeof r === 'boolean') {
		return String(r);
	}
	if (Array.isArray(r)) {
		return r.map(textOf).join(' ');
	}
	if ('base64' in r) {
		return escape(r);
	}
	if ('status' in r) {
		return r.status;
	}
	if ('error' in r) {
		return r.error;
	}
	if ('integer' in r) {
		return r.integer;
	}
	if ('double' in r) {
		return r.double;
	}
	if ('bignum' in r) {
		return r.bignum;
	}
	if ('verbatim' in r) {
		return textOf(r.verbatim);
	}
	if ('cut' in r) {
		return `left out: ${r.cut} bytes are more than one answer may have`;
	}
	return listOf(r).map(textOf).join(' ');
}

export function binOf(r: Reply | undefined): Bin {
	if (isBin(r)) {
		return r;
	}
	return typeof r === 'object' && r !== null && 'verbatim' in r ? binOf(r.verbatim) : textOf(r);
}

export function listOf(r: Reply | undefined): Reply[] {
	if (Array.isArray(r)) {
		return r;
	}
	if (typeof r === 'object' && r !== null) {
		if ('set' in r) {
			return r.set;
		}
		if ('push' in r) {
			return r.push;
		}
		if ('map' in r) {
			return r.map.flat(1) as Reply[];
		}
	}
	return [];
}

// What RESP3 sends as a map RESP2 sends as an array of names and values; either becomes pairs. Also [[k, v], …] of WITHSCORES.
export function pairsOf(r: Reply | undefined): [Reply, Reply][] {
	if (typeof r === 'object' && r !== null && !Array.isArray(r) && 'map' in r) {
		return r.map;
	}
	const list = listOf(r);
	if (list.length > 0 && list.every(x => Array.isArray(x) && x.length === 2)) {
		return list as [Reply, Reply][];
	}
	const out: [Reply, Reply][] = [];
	for (let i = 0; i + 1 < list.length; i += 2) {
		out.push([list[i]!, list[i + 1]!]);
	}
	return out;
}

export function fieldsOf(r: Reply | undefined): Record<string, Reply> {
	const out: Record<string, Reply> = Object.create(null);
	for (const [k, v] of pairsOf(r)) {
		out[textOf(k)] = v;
	}
	return out;
}

// INFO, CLIENT LIST lines: "name:value" lines, "name=value" words.
export function infoOf(text: string): Record<string, string> {
	const out: Record<string, string> = Object.create(null);
	for (const line of text.split(/\r?\n/)) {
		const at = line.indexOf(':');
		if (at > 0 && !line.startsWith('#')) {
			out[line.slice(0, at)] = line.slice(at + 1);
		}
	}
	return out;
}

export function wordsOf(line: string): Record<string, string> {
	const out: Record<string, string> = Object.create(null);
	for (const word of line.trim().split(' ')) {
		const at = word.indexOf('=');
		if (at > 0) {
			out[word.slice(0, at)] = word.slice(at + 1);
		}
	}
	return out;
}

// One row of the tree: how deep, what kind, the label before it, the text; open says whether it has children.
export interface ReplyRow {
	path: string;
	depth: number;
	label: string;
	kind: 'text' | 'integer' | 'double' | 'nil' | 'status' | 'error' | 'boolean' | 'array' | 'map' | 'set';
	text: string;
	children: number;
}

export function kindOf(r: Reply): ReplyRow['kind'] {
	if (r === null) {
		return 'nil';
	}
	if (typeof r === 'boolean') {
		return 'boolean';
	}
	if (typeof r === 'number') {
		return 'integer';
	}
	if (isBin(r)) {
		return 'text';
	}
	if (Array.isArray(r) || 'push' in r) {
		return 'array';
	}
	return 'map' in r ? 'map' : 'set' in r ? 'set' : 'status' in r ? 'status' : 'error' in r || 'cut' in r ? 'error' : 'double' in r ? 'double' : 'verbatim' in r ? 'text' : 'integer';
}

// The rows of a reply that are open, at most `limit`; closed() says which paths are folded.
export function replyRows(reply: Reply, closed: (path: string, depth: number) => boolean, limit: number): { rows: ReplyRow[]; cut: boolean } {
	const rows: ReplyRow[] = [];
	let cut = false;
	const walk = (r: Reply, path: string, depth: number, label: string): void => {
		if (rows.length >= limit) {
			cut = true;
			return;
		}
		const kind = kindOf(r);
		if (kind === 'array' || kind === 'set') {
			const list = listOf(r);
			rows.push({ path, depth, label, kind, text: list.length === 0 ? `empty ${kind}` : '', children: list.length });
			if (!closed(path, depth)) {
				list.forEach((x, i) => {
					walk(x, `${path}.${i}`, depth + 1, `${i + 1}`);
				});
			}
		} else if (kind === 'map') {
			const pairs = pairsOf(r);
			rows.push({ path, depth, label, kind, text: pairs.length === 0 ? 'empty map' : '', children: pairs.length });
			if (!closed(path, depth)) {
				pairs.forEach(([k, v], i) => {
					walk(v, `${path}.${i}`, depth + 1, escape(binOf(k)));
				});
			}
		} else {
			rows.push({ path, depth, label, kind, text: kind === 'text' ? escape(binOf(r)) : kind === 'nil' ? 'nil' : textOf(r), children: 0 });
		}
	};
	walk(reply, '', 0, '');
	return { rows, cut };
}

// As redis-cli prints it, for copying.
export function replyText(r: Reply, indent = ''): string {
	const kind = kindOf(r);
	if (kind === 'array' || kind === 'set' || kind === 'map') {
		const items = kind === 'map' ? pairsOf(r).map(([k, v]) => ({ k: `${quote(binOf(k))} => `, v })) : listOf(r).map(v => ({ k: '', v }));
		if (items.length === 0) {
			return `(empty ${kind})`;
		}
		const width = String(items.length).length;
		return items.map(({ k, v }, i) => {
			const lead = `${String(i + 1).padStart(width)}) ${k}`;
			return (i === 0 ? '' : indent) + lead + replyText(v, `${indent}${' '.repeat(width + 2)}`);
		}).join('\n');
	}
	switch (kind) {
		case 'text': return quote(binOf(r));
		case 'nil': return '(nil)';
		case 'error': return `(error) ${textOf(r)}`;
		case 'integer': return `(integer) ${textOf(r)}`;
		case 'double': return `(double) ${textOf(r)}`;
		case 'boolean': return `(${String(r)})`;
		default: return textOf(r);
	}
}

function quote(b: Bin): string {
	return `"${escape(b).replace(/"/g, '\\"')}"`;
}

// RESP2/3 as on the wire, one line for each element, for the raw view.
export function replyWire(r: Reply): string {
	if (r === null) {
		return '$-1';
	}
	if (typeof r === 'boolean') {
		return r ? '#t' : '#f';
	}
	if (typeof r === 'number') {
		return `:${r}`;
	}
	if (isBin(r)) {
		return `$${byteLength(r)}\n${escape(r)}`;
	}
	if (Array.isArray(r)) {
		return [`*${r.length}`, ...r.map(replyWire)].join('\n');
	}
	if ('map' in r) {
		return [`%${r.map.length}`, ...r.map.flat(1).map(x => replyWire(x as Reply))].join('\n');
	}
	if ('set' in r || 'push' in r) {
		const l = listOf(r);
		return [`${'set' in r ? '~' : '>'}${l.length}`, ...l.map(replyWire)].join('\n');
	}
	return 'status' in r ? `+${r.status}` : 'error' in r ? `-${r.error}` : 'cut' in r ? textOf(r) : 'double' in r ? `,${r.double}` : 'bignum' in r ? `(${r.bignum}` : 'verbatim' in r ? `=${textOf(r)}` : `:${textOf(r)}`;
}
