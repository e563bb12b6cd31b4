// Figures over time, a second of load visible a second later; failovers marked, gaps as gaps; the most used commands.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../api/client';
import type { CommandFigures, Mark, Sample } from '../api/types';
import { bytes, micros, percent, short, whole } from '../core/format';
import { append, type Columns, column, joined, rate, scale, total } from '../core/series';
import { Chart, type Line } from '../parts/chart';
import { Choice, Fault, Panel, Table } from '../parts/parts';
import { events, go, linkTo, recent, route, sample, sampleHeard, status } from '../state';

const RANGES: { value: string; text: string; seconds: number; step: number }[] = [
	{ value: '300', text: '5 min', seconds: 300, step: 1 },
	{ value: '3600', text: '1 h', seconds: 3600, step: 10 },
	{ value: '21600', text: '6 h', seconds: 21600, step: 60 },
	{ value: '86400', text: '24 h', seconds: 86400, step: 60 },
];
const COLORS = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6'];

export function Metrics(): JSX.Element {
	const chosen = RANGES.find(r => r.value === route.value.query.range) ?? RANGES[0]!;
	const [data, setData] = useState<Columns>({ t: [], series: {} });
	const [marks, setMarks] = useState<Mark[]>([]);
	const [error, setError] = useState<unknown>(null);
	const keep = useRef(data);
	const step = useRef(chosen.step);
	useEffect(() => {
		let on = true;
		const set = (c: Columns) => { keep.current = c; setData(c); };
		const load = () => api.history(chosen.seconds, 600).then(h => {
			if (on) {
				step.current = Math.max(h.step_s, 1);
				set(joined(h, recent.value, chosen.seconds));
				setMarks(h.marks);
				setError(null);
			}
		}, e => { if (on) { setError(e); } });
		load();
		const hear = (s: Sample) => { if (on) { set(append(keep.current, s, chosen.seconds, step.current)); } };
		sampleHeard.add(hear);
		// The means of wider steps are the server's: look again now and then, and when the page is shown again.
		const again = setInterval(() => { if (!document.hidden) { load(); } }, chosen.step > 1 ? 60000 : 300000);
		const shown = () => { if (!document.hidden) { load(); } };
		document.addEventListener('visibilitychange', shown);
		return () => { on = false; sampleHeard.delete(hear); clearInterval(again); document.removeEventListener('visibilitychange', shown); };
	}, [chosen.value]);

	const redis = status.value?.instances.filter(i => i.kind === 'redis').map(i => i.name) ?? [...new Set(Object.keys(data.series).map(k => k.split('.')[0]!).filter(k => k.startsWith('redis')))];
	const proxies = [...new Set(Object.keys(data.series).map(k => k.split('.')[0]!).filter(k => k.startsWith('proxy-') || k.startsWith('http-')))].sort();
	const per = (names: string[], what: string): Line[] => names.map((n, i) => ({ name: n, color: COLORS[i % COLORS.length]!, values: column(data, `${n}.${what}`) }));
	const line = (name: string, series: string, i: number, fill = false): Line => ({ name, color: COLORS[i]!, values: column(data, series), fill });
	const live = events.value.filter(e => e.host === status.value?.node && (e.kind === 'failover.done' || e.kind === 'master.elected')).map(e => ({ t: Date.parse(e.time) / 1000, id: e.id, kind: e.kind, subject: e.subject, text: e.text }));
	const all = [...new Map([...marks, ...live].map(m => [m.id, m])).values()].filter(m => m.kind !== 'failover.started');
	const now = sample.value?.time ?? Date.now() / 1000;
	const range: [number, number] = [now - chosen.seconds, now];
	const c = { t: data.t, marks: all, range, sync: 'metrics' };
	const pc = (v: number | null) => (v === null ? '–' : `${v.toFixed(v >= 99.95 || v === 0 ? 0 : 1)} %`);
	const rps = (v: number | null) => short(v);
	const hits = total(redis.map(n => column(data, `${n}.hits`)), data.t.length);
	const misses = total(redis.map(n => column(data, `${n}.misses`)), data.t.length);
	return (
		<div class="page">
			<div class="row"><Choice label="Time" value={chosen.value} onChange={v => go(linkTo('metrics', [], { range: v === '300' ? '' : v }))} options={RANGES} /><span class="hint">{all.filter(m => m.t >= range[0]).length > 0 ? 'dashed lines: changes of the master' : 'no change of the master in this time'}</span></div>
			{error !== null && <Fault error={error} />}
			<div class="charts">
				<Chart {...c} title="Operations a second" format={rps} least={10} lines={[line('all doors', 'cluster.ops', 0, true), ...(proxies.length > 1 ? per(proxies, 'ops').map((l, i) => ({ ...l, color: COLORS[i + 1] ?? '--c6' })) : [])]} />
				<Chart {...c} title="Latency at the doors" format={micros} least={200} lines={[line('median', 'cluster.p50_us', 0), line('99th percentile', 'cluster.p99_us', 1)]} />
				<Chart {...c} title="Held for want of a master" format={v => (v === null ? '–' : short(v))} least={4} lines={[line('requests', 'cluster.held', 0, true), line('mean time, ms', 'cluster.hold_ms', 1)]} />
				<Chart {...c} title="Operations a second, by server" format={rps} least={10} lines={per(redis, 'ops')} />
				<Chart {...c} title="Hit rate" format={pc} least={100} lines={[{ name: 'all servers', color: '--c1', values: rate(hits, misses), fill: true }]} />
				<Chart {...c} title="Memory of data" format={bytes} binary lines={per(redis, 'memory_bytes')} />
				<Chart {...c} title="Fragmentation" format={v => (v === null ? '–' : v.toFixed(2))} least={2} lines={per(redis, 'fragmentation')} />
				<Chart {...c} title="Replication lag" format={bytes} binary least={1024} lines={per(redis, 'lag_bytes')} />
				<Chart {...c} title="Clients" format={v => whole(v)} least={4} lines={[...per(proxies, 'clients'), ...per(redis, 'clients').map((l, i) => ({ ...l, color: COLORS[(i + proxies.length) % COLORS.length]! }))]} />
				<Chart {...c} title="CPU" format={pc} least={10} lines={per(redis, 'cpu').map(l => ({ ...l, values: scale(l.values, 100) }))} />
				<Chart {...c} title="Network in, a second" format={bytes} binary least={1024} lines={per(redis, 'in_bytes')} />
				<Chart {...c} title="Network out, a second" format={bytes} binary least={1024} lines={per(redis, 'out_bytes')} />
				<Chart {...c} title="Keys" format={v => short(v)} least={10} lines={per(redis, 'keys')} />
				<Chart {...c} title="Keys expired and evicted, a second" format={rps} least={4} lines={[{ name: 'expired', color: '--c1', values: total(redis.map(n => column(data, `${n}.expired`)), data.t.length) }, { name: 'evicted', color: '--c2', values: total(redis.map(n => column(data, `${n}.evicted`)), data.t.length) }]} />
			</div>
			<Commands list={sample.value?.commands ?? []} />
		</div>
	);
}

function Commands({ list }: { list: CommandFigures[] }): JSX.Element {
	const all = list.reduce((a, c) => a + c.calls, 0);
	const most = Math.max(1, ...list.map(c => c.calls));
	return (
		<Panel title="Most used commands" tools={<span class="hint">since the workers' start; a second, mean and percentiles: of the last second</span>}>
			{list.length === 0 ? <p class="empty">No command has come through the doors yet.</p> : <Table<CommandFigures> label="Most used commands" rows={list} id={c => c.name} sorted={[1, -1]} max={100} columns={[
				{ head: 'Command', cell: c => <b>{c.name.toUpperCase()}</b>, sort: c => c.name },
				{ head: 'Calls', num: true, cell: c => <span class="bar-cell">{whole(c.calls)}<i class="meter" style={{ width: `${(c.calls / most) * 100}%` }} /></span>, sort: c => c.calls },
				{ head: 'Share', num: true, thin: true, cell: c => percent(c.calls, all), sort: c => c.calls },
				{ head: 'A second', num: true, cell: c => short(c.per_s), sort: c => c.per_s ?? -1 },
				{ head: 'Mean', num: true, cell: c => micros(c.mean_us), sort: c => c.mean_us ?? -1 },
				{ head: 'Median', num: true, thin: true, cell: c => micros(c.p50_us), sort: c => c.p50_us ?? -1 },
				{ head: 'p99', num: true, cell: c => micros(c.p99_us), sort: c => c.p99_us ?? -1 },
				{ head: 'Errors', num: true, cell: c => (c.errors > 0 ? <span class="tag tag-warn">{whole(c.errors)}</span> : 0), sort: c => c.errors },
				{ head: 'Held', num: true, thin: true, cell: c => whole(c.held), sort: c => c.held },
			]} />}
		</Panel>
	);
}
