// The picture of the cluster as coordinates: doors at the left, the master in the middle, replicas at the right, sentinels
// below. At phone width the same from top to bottom. Pure, so that a test can hold it against a status.
import type { Instance, Status } from '../api/types';
import { bytes, short } from './format';
import { everyone, label as called, masterName } from './hosts';

export interface SentinelView {
	sees: string;
	epoch: number | null;
	quorum: number | null;
	others: number | null;
	down: boolean;
	flags: string;
	failover: string;
}

export interface MapNode {
	name: string;
	label: string;
	role: string;
	x: number;
	y: number;
	w: number;
	h: number;
	look: 'master' | 'plain' | 'down' | 'busy' | 'off';
	right: string;
	second: string;
	said: string; // for those who hear the picture
}

export interface MapLink {
	id: string;
	kind: string;
	d: string;
}

export interface ClusterMap {
	width: number;
	height: number;
	nodes: MapNode[];
	links: MapLink[];
	labels: { id: string; x: number; y: number; w: number; text: string }[];
	lanes: { text: string; x: number; y: number; anchor: 'start' | 'middle' | 'end' }[];
	summary: string;
}

type Figures = Record<string, number | null>;

function look(i: Instance): MapNode['look'] {
	return (i.wanted === 'down' && i.state !== 'ready') || i.state === 'unknown' ? 'off' : i.state === 'ready' || i.state === 'adopted' ? (i.role === 'master' ? 'master' : 'plain') : i.state === 'failed' || i.state === 'stopped' ? 'down' : 'busy';
}

function second(i: Instance, f: Figures, views: Record<string, SentinelView>): string {
	if (i.state !== 'ready' && i.state !== 'adopted') {
		return i.wanted === 'down' ? 'stopped by hand' : i.state === 'unknown' ? 'not heard' : i.state;
	}
	if (i.kind === 'sentinel') {
		const v = views[i.name];
		return v ? `${v.down ? 'suspects' : 'sees'} ${v.sees}` : '';
	}
	const ops = f[`${i.name}.ops`];
	const parts = ops === null || ops === undefined ? [] : [`${short(ops)} ops/s`];
	const mem = f[`${i.name}.memory_bytes`];
	if (i.kind === 'redis' && mem !== null && mem !== undefined) {
		parts.push(bytes(mem));
	}
	if (i.kind === 'proxy') {
		const n = f[`${i.name}.clients`] ?? i.stats?.clients?.now;
		if (n !== null && n !== undefined) {
			parts.push(`${short(n)} client${n === 1 ? '' : 's'}`);
		}
	}
	return parts.join(' · ');
}

export function mapOf(s: Status, views: Record<string, SentinelView>, f: Figures, phone: boolean): ClusterMap {
	const all = everyone(s);
	const of = (kind: string) => all.filter(i => i.kind === kind);
	const redis = of('redis');
	const master = redis.find(i => i.role === 'master') ?? redis.find(i => i.name === s.master?.name && i.state !== 'ready');
	const replicas = redis.filter(i => i !== master);
	const doors = [...of('proxy'), ...of('http')];
	const sentinels = of('sentinel');
	const nodes: MapNode[] = [];
	const links: MapLink[] = [];
	const labels: ClusterMap['labels'] = [];
	const lanes: ClusterMap['lanes'] = [];
	const add = (i: Instance, x: number, y: number, w: number, h: number): MapNode => {
		const sec = second(i, f, views);
		const state = i.wanted === 'down' && i.state !== 'ready' ? 'stopped by hand' : i.state === 'unknown' ? 'not heard' : i.state;
		const n: MapNode = {
			name: i.name, label: called(s, i), role: i.role ?? i.kind, x, y, w, h, look: look(i), second: sec,
			right: i === master && i.role === 'master' ? 'master' : phone && w < 150 ? '' : `:${i.port}`,
			said: [i.role ?? i.kind, state, i.lag_bytes === null ? '' : i.lag_bytes === 0 ? 'in step' : `${bytes(i.lag_bytes)} behind`, sec].filter(x => x !== '').join(', '),
		};
		nodes.push(n);
		return n;
	};
	const good = (i: Instance) => i.state === 'ready' || i.state === 'adopted';
	const busy = (i: Instance) => (f[`${i.name}.ops`] ?? 0) > 0;
	const lag = (i: Instance): [string, string] => (!good(i) ? ['broken', i.wanted === 'down' || i.state === 'unknown' ? '' : 'no link'] : i.lag_bytes === null ? ['catching', 'joining'] : i.lag_bytes > 1024 * 1024 ? ['catching', `${bytes(i.lag_bytes)} behind`] : ['flow', i.lag_bytes === 0 ? 'in step' : `${bytes(i.lag_bytes)} behind`]);
	const label = (id: string, x: number, y: number, text: string) => { if (text !== '') { labels.push({ id, x, y, w: text.length * 6.1 + 10, text }); } };

	if (phone) {
		const W = 352;
		const grid = (list: Instance[], y: number, cols: number, h: number): { nodes: MapNode[]; end: number } => {
			const gap = 8;
			const w = (W - gap * (cols - 1)) / cols;
			const out = list.map((i, k) => add(i, (k % cols) * (w + gap), y + Math.floor(k / cols) * (h + gap), w, h));
			return { nodes: out, end: y + Math.ceil(list.length / cols) * (h + gap) };
		};
		const top = grid(doors, 0, 2, 48);
		const my = top.end + 30;
		const m = master ? add(master, 60, my, W - 120, 60) : null;
		const ry = my + 60 + 46;
		const low = grid(replicas, ry, 2, 52);
		const se = grid(sentinels, low.end + 22, sentinels.length > 2 ? 3 : 2, 46);
		lanes.push({ text: 'sentinels', x: 0, y: low.end + 14, anchor: 'start' });
		if (m && master) {
			top.nodes.forEach((n, k) => {
				const i = doors[k]!;
				const x = n.x + n.w / 2;
				links.push({ id: `d${n.name}`, kind: !good(i) || !good(master) ? 'broken' : busy(i) ? 'flow' : '', d: `M${x} ${n.y + n.h}C${x} ${my - 8} ${W / 2} ${n.y + n.h + 8} ${W / 2} ${my}` });
			});
			low.nodes.forEach((n, k) => {
				const i = replicas[k]!;
				const x = n.x + n.w / 2;
				const [kind, text] = lag(i);
				links.push({ id: `r${n.name}`, kind, d: `M${W / 2} ${my + 60}C${W / 2} ${ry - 8} ${x} ${my + 68} ${x} ${n.y}` });
				label(`l${n.name}`, x, ry - 14, text);
			});
		}
		return { width: W, height: se.end, nodes, links, labels, lanes, summary: said(s, replicas) };
	}

	const W = 880;
	const rows = Math.max(doors.length, replicas.length, 2);
	const step = 74;
	const H = rows * step;
	const y0 = 26;
	const column = (list: Instance[], x: number, w: number, h: number) => list.map((i, k) => add(i, x, y0 + (H - list.length * step) / 2 + k * step + (step - h) / 2, w, h));
	const left = column(doors, 0, 206, 52);
	const mid = master ? add(master, 336, y0 + H / 2 - 38, 208, 76) : null;
	const right = column(replicas, 674, 206, 52);
	const sy = y0 + H + 66;
	const gap = 16;
	const sw = sentinels.length > 0 ? Math.min(206, (W - gap * (sentinels.length - 1)) / sentinels.length) : 0;
	const sx = (W - sentinels.length * sw - (sentinels.length - 1) * gap) / 2;
	const eyes = sentinels.map((i, k) => add(i, sx + k * (sw + gap), sy, sw, 48));
	lanes.push({ text: 'doors for clients', x: 0, y: 14, anchor: 'start' }, { text: 'takes writes', x: W / 2, y: 14, anchor: 'middle' }, { text: 'copies', x: W, y: 14, anchor: 'end' });
	if (eyes.length > 0) {
		lanes.push({ text: agree(sentinels, views), x: sx, y: sy + 66, anchor: 'start' });
	}
	if (mid && master) {
		const cy = mid.y + mid.h / 2;
		left.forEach((n, k) => {
			const i = doors[k]!;
			const y = n.y + n.h / 2;
			links.push({ id: `d${n.name}`, kind: !good(i) || !good(master) ? 'broken' : busy(i) ? 'flow' : '', d: `M206 ${y}C272 ${y} 272 ${cy} 336 ${cy}` });
		});
		right.forEach((n, k) => {
			const y = n.y + n.h / 2;
			const [kind, text] = lag(replicas[k]!);
			links.push({ id: `r${n.name}`, kind, d: `M544 ${cy}C610 ${cy} 610 ${y} 674 ${y}` });
			label(`l${n.name}`, 612, (cy + y) / 2 + (y === cy ? 0 : (y - cy) * 0.12), text);
		});
		eyes.forEach((n, k) => {
			const x = n.x + n.w / 2;
			const to = W / 2 + (k - (eyes.length - 1) / 2) * 36;
			links.push({ id: `s${n.name}`, kind: good(sentinels[k]!) ? (views[n.name]?.down ? 'broken' : 'watch') : 'broken', d: `M${x} ${n.y}C${x} ${n.y - 44} ${to} ${mid.y + mid.h + 50} ${to} ${mid.y + mid.h}` });
		});
	}
	return { width: W, height: sy + (eyes.length > 0 ? 74 : 0), nodes, links, labels, lanes, summary: said(s, replicas) };
}

function agree(list: Instance[], views: Record<string, SentinelView>): string {
	const words = list.map(i => views[i.name]).filter(v => v !== undefined);
	if (words.length === 0) {
		return 'sentinels';
	}
	const first = words[0]!;
	const same = words.filter(v => v.sees === first.sees && v.epoch === first.epoch).length;
	const quorum = words.find(v => v.quorum !== null)?.quorum ?? 0;
	return same === words.length ? `${words.length} of ${list.length} sentinels agree on ${first.sees}, epoch ${first.epoch ?? 0}; ${quorum} must agree that it is down` : `sentinels disagree: ${words.map(v => v.sees).join(', ')}`;
}

function said(s: Status, replicas: Instance[]): string {
	return `${s.master ? masterName(s) : 'no server'} is master${replicas.length > 0 ? `, ${replicas.map(r => called(s, r)).join(' and ')} follow` : ''}`;
}
