// What fills the memory: a sample of keys, bounded in number and time, drawn as areas, bars and advice.
import { hierarchy, treemap } from 'd3-hierarchy';
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { run } from '../api/client';
import { type Bin, escape } from '../core/bin';
import { bytes, percent, plural, ttl, whole } from '../core/format';
import { advise, biggest, byTtl, byType, isLoose, type PrefixNode, prefixTree, type Sampled, type ServerFigures, type Share } from '../core/memory';
import { globEscape } from '../core/words';
import { binOf, errorOf, infoOf, listOf, numberOf, textOf } from '../core/reply';
import { Button, Choice, Empty, Input, Mark, Panel, Select, Table, usePhone } from '../parts/parts';
import { complain, go, operator } from '../state';
import { placeLink, TypeTag, useDatabases } from './browser';
import { useTarget } from './tools';

interface Result {
	db: number;
	sample: Sampled[];
	figures: ServerFigures;
	looked: number;
	all: boolean;
}

const LENGTH: Record<string, string> = { hash: 'HLEN', set: 'SCARD', zset: 'ZCARD' };
let kept: Result | null = null; // stays when one looks elsewhere

export function MemoryTool(): JSX.Element {
	const [target, choose] = useTarget();
	const [db, setDb] = useState(kept?.db ?? 0);
	const dbs = useDatabases(db, target);
	const [size, setSize] = useState('10000');
	const [by, setBy] = useState(':');
	const [result, setResult] = useState<Result | null>(kept);
	const [busy, setBusy] = useState<number | null>(null);
	const alive = useRef(false);
	const look = async () => {
		alive.current = true;
		setBusy(0);
		const most = Number(size);
		const [info, max, policy, dbsize] = await run([['INFO', 'memory'], ['CONFIG', 'GET', 'maxmemory'], ['CONFIG', 'GET', 'maxmemory-policy'], ['DBSIZE']], { target, db });
		const f = infoOf(textOf(info));
		const total = numberOf(dbsize) ?? 0;
		const sample: Sampled[] = [];
		// SCAN goes through the table in an order that has nothing to do with names, so its beginning is a fair sample.
		let cursor = '0';
		do {
			const [r] = await run([['SCAN', cursor, 'COUNT', 200]], { target, db });
			const e = errorOf(r);
			if (e !== null) {
				throw new Error(e);
			}
			const [next, list] = listOf(r);
			cursor = textOf(next);
			const keys: Bin[] = listOf(list).map(binOf).slice(0, most - sample.length);
			for (let i = 0; i < keys.length; i += 100) {
				const some = keys.slice(i, i + 100);
				const rs = await run(some.flatMap(k => [['TYPE', k], ['MEMORY', 'USAGE', k, 'SAMPLES', 5], ['TTL', k], ['OBJECT', 'ENCODING', k]]), { target, db });
				const fresh: Sampled[] = [];
				some.forEach((key, n) => {
					const used = numberOf(rs[4 * n + 1]);
					if (used !== null) {
						fresh.push({ key, type: textOf(rs[4 * n]), bytes: used, ttl_s: numberOf(rs[4 * n + 2]) ?? -1, encoding: textOf(rs[4 * n + 3]) });
					}
				});
				const loose = fresh.filter(isLoose);
				const counts = await run(loose.map(s => [LENGTH[s.type]!, s.key]), { target, db });
				loose.forEach((s, n) => { s.items = numberOf(counts[n]) ?? undefined; });
				sample.push(...fresh);
			}
			setBusy(sample.length);
		} while (cursor !== '0' && sample.length < most && alive.current);
		const get = (k: string) => Number(f[k] ?? 0);
		const value = (r: unknown) => textOf(listOf(r as never)[1]);
		kept = {
			db, sample, looked: sample.length, all: cursor === '0' && sample.length >= total * 0.99,
			figures: { used: get('used_memory'), rss: get('used_memory_rss'), peak: get('used_memory_peak'), max: Number(value(max)) || 0, policy: value(policy), fragmentation: get('mem_fragmentation_ratio'), keys: total },
		};
		setResult(kept);
	};
	const start = () => { look().catch(complain).finally(() => setBusy(null)); };
	const r = result;
	const weight = r && r.sample.length > 0 ? r.figures.keys / r.sample.length : 1; // from the sample to all keys
	return (
		<>
			<Panel title="Memory" tools={<>{choose}<Select label="Database" value={String(db)} options={dbs} onChange={v => setDb(Number(v))} /><Choice label="How many keys" value={size} onChange={setSize} options={[{ value: '1000', text: '1 k keys' }, { value: '10000', text: '10 k' }, { value: '100000', text: '100 k' }]} /><span class="delim"><Input label="Delimiter" mono value={by} onInput={setBy} /></span>{busy === null ? <Button kind="main" icon="play" onClick={start}>Look</Button> : <Button icon="stop" onClick={() => { alive.current = false; }}>Stop, {whole(busy)}</Button>}</>}>
				<div class="panel-body">{r === null ? <p class="soft">Takes a sample of keys with SCAN and asks type, size, time to live of each: some milliseconds of the server for a thousand keys, in small steps. A replica can be asked instead.</p>
					: <dl class="figures">
						<div><dt>Used</dt><dd>{bytes(r.figures.used)}</dd></div><div><dt>Limit</dt><dd>{r.figures.max > 0 ? bytes(r.figures.max) : 'none'}</dd></div><div><dt>Peak</dt><dd>{bytes(r.figures.peak)}</dd></div><div><dt>Resident</dt><dd>{bytes(r.figures.rss)}</dd></div><div><dt>Keys</dt><dd>{whole(r.figures.keys)}</dd></div><div><dt>Sampled</dt><dd>{r.all ? 'all' : `${whole(r.looked)}, ${percent(r.looked, r.figures.keys)}`}</dd></div>
					</dl>}</div>
			</Panel>
			{r && (r.sample.length === 0 ? <Empty>There is no key in database {r.db}.</Empty> : <>
				<Panel title="Advice"><ul class="advice panel-body-less">{advise(r.sample, r.figures).map(a => <li key={a.text}><Mark grade={a.grade === 'warn' ? 'warn' : 'off'} /><div><b>{a.text}</b><p>{a.why}</p></div></li>)}</ul></Panel>
				<Panel title="By prefix" tools={!r.all && <span class="hint">estimated from the sample</span>}><Treemap root={prefixTree(r.sample, by === '' ? ':' : by, 2, 16)} weight={weight} by={by} db={r.db} /></Panel>
				<div class="two">
					<Panel title="By type"><Bars list={byType(r.sample)} weight={weight} /></Panel>
					<Panel title="By time to live"><Bars list={byTtl(r.sample)} weight={weight} /></Panel>
				</div>
				<Panel title="Biggest keys of the sample"><Table<Sampled> label="Biggest keys" rows={biggest(r.sample, 50)} id={s => escape(s.key)} columns={[
					{ head: 'Type', cell: s => <TypeTag type={s.type} /> },
					{ head: 'Key', grow: true, cell: s => <a class="mono bytes" href={placeLink({ db: r.db, match: '', type: '', tree: true, delimiter: ':' }, s.key)}>{escape(s.key)}</a> },
					{ head: 'Memory', num: true, cell: s => bytes(s.bytes), sort: s => s.bytes },
					{ head: 'Lives', num: true, thin: true, cell: s => (s.ttl_s === -1 ? 'for ever' : ttl(s.ttl_s)), sort: s => s.ttl_s },
					{ head: 'Encoding', thin: true, cell: s => s.encoding },
				]} /></Panel>
			</>)}
			{!operator.value && <p class="hint">A viewer may look; nothing is changed by it.</p>}
		</>
	);
}

function Treemap({ root, weight, by, db }: { root: PrefixNode; weight: number; by: string; db: number }): JSX.Element {
	const phone = usePhone(); // drawn at its size, so that names can be read
	const W = phone ? 340 : 1000;
	const H = phone ? 300 : 360;
	const h = hierarchy<PrefixNode>(root, n => n.children).sum(n => (n.children.length === 0 ? n.bytes : 0)).sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
	const laid = treemap<PrefixNode>().size([W, H]).paddingInner(2).paddingTop(n => (n.depth === 1 && (n.children?.length ?? 0) > 1 ? 18 : 0)).round(true)(h);
	const groups = laid.children ?? [];
	const max = Math.max(1, ...laid.leaves().map(l => l.value ?? 0));
	const open = (path: string) => go(placeLink({ db, match: `${globEscape(path.replace(/[…·]$/, ''))}*`, type: '', tree: true, delimiter: by }, null));
	return (
		<svg class="treemap" viewBox={`0 0 ${W} ${H}`} role="group" aria-label={`Memory by prefix: ${groups.slice(0, 5).map(g => `${g.data.name} ${percent(g.value ?? 0, laid.value ?? 1)}`).join(', ')}`}>
			{groups.map(g => (
				<g key={g.data.path}>
					{(g.children?.length ?? 0) > 1 && <text x={g.x0 + 4} y={g.y0 + 13}>{fit(`${g.data.name} ${bytes((g.value ?? 0) * weight)}`, g.x1 - g.x0)}</text>}
					{g.leaves().map(l => {
						const w = l.x1 - l.x0;
						const hh = l.y1 - l.y0;
						const name = (g.children?.length ?? 0) > 1 ? l.data.name : l.data.path;
						const said = `${l.data.path}: ${bytes((l.value ?? 0) * weight)}, ${plural(Math.round(l.data.keys * weight), 'key')}`;
						return (
							<g key={l.data.path} tabIndex={0} role="link" aria-label={said} onClick={() => open(l.data.path)} onKeyDown={e => { if (e.key === 'Enter') { open(l.data.path); } }}>
								<title>{said}</title>
								<rect x={l.x0} y={l.y0} width={w} height={hh} fill-opacity={0.12 + 0.38 * Math.sqrt((l.value ?? 0) / max)} rx={2} />
								{w > 54 && hh > 20 && <text x={l.x0 + 6} y={l.y0 + 15}>{fit(name, w - 8)}</text>}
								{w > 64 && hh > 38 && <text class="t2" x={l.x0 + 6} y={l.y0 + 31}>{bytes((l.value ?? 0) * weight)}</text>}
							</g>);
					})}
				</g>))}
		</svg>
	);
}

function fit(text: string, px: number): string {
	const n = Math.floor(px / 6.6);
	return text.length <= n ? text : n < 4 ? '' : `${text.slice(0, n - 1)}…`;
}

function Bars({ list, weight }: { list: Share[]; weight: number }): JSX.Element {
	const top = Math.max(1, ...list.map(s => s.bytes));
	return <div class="bars">{list.map(s => [<span key={`n${s.name}`}>{s.name}</span>, <span key={`b${s.name}`} class="bg">{s.bytes > 0 && <div class="b" style={{ width: `${(s.bytes / top) * 100}%` }} />}</span>, <span key={`v${s.name}`} class="num">{bytes(s.bytes * weight)}</span>, <span key={`k${s.name}`} class="num dim">{plural(Math.round(s.keys * weight), 'key')}</span>])}</div>;
}
