// Who is there, who leads, what hangs behind; what happened; and the buttons that change it.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, run } from '../api/client';
import type { Event, Events, Host, Instance, Modules, Plan, Status } from '../api/types';
import { ago, brief, bytes, clock, day, duration, NONE, plural, short, whole } from '../core/format';
import type { Grade } from '../core/health';
import { hostState, keyOf, label, newestFirst, placeBefore, several } from '../core/hosts';
import { mapOf, type SentinelView } from '../core/map';
import { errorOf, fieldsOf, numberOf, textOf } from '../core/reply';
import { Button, Choice, Dialog, Empty, Fault, Mark, Panel, useEvery, useLoad, usePhone } from '../parts/parts';
import { ask, complain, events, go, instances, linkTo, note, eventsKnown, olderEvents, operator, part, route, sample, status } from '../state';

export function gradeOf(i: Instance): Grade | 'off' {
	return i.state === 'unknown' ? 'unknown' : i.wanted === 'down' && i.state !== 'ready' ? 'off' : i.state === 'ready' || i.state === 'adopted' ? 'good' : i.state === 'failed' || i.state === 'stopped' ? 'bad' : 'warn';
}

function figure(name: string, what: string): number | null {
	return sample.value?.figures[`${name}.${what}`] ?? null;
}

export function Cluster(): JSX.Element {
	const chosen = part(route.value, 0);
	const s = status.value;
	const sentinels = useSentinels();
	if (!s) {
		return <Empty>Waiting for the first word from the supervisor…</Empty>;
	}
	const instance = instances.value.find(i => i.name === chosen);
	return (
		<div class="page cluster">
			<div class="left">
				<Panel title="Who leads, who follows" tools={<Switchover />}><Picture sentinels={sentinels} chosen={chosen} /></Panel>
				{instance ? <Details key={instance.name} i={instance} sentinel={sentinels[instance.name]} /> : chosen !== null && <Empty>There is no instance “{chosen}”.</Empty>}
				<Processes list={instances.value} chosen={chosen} />
				<Doors doors={s.doors ?? {}} />
				<ModuleMatrix />
			</div>
			<div class="right"><Timeline /></div>
		</div>
	);
}

// What each sentinel says of the master, asked every two seconds.
function useSentinels(): Record<string, SentinelView> {
	const [views, set] = useState<Record<string, SentinelView>>({});
	const busy = useRef(false);
	const look = async () => {
		const s = status.peek();
		if (!s || busy.current) {
			return;
		}
		busy.current = true;
		try {
			const out: Record<string, SentinelView> = {};
			for (const i of instances.peek().filter(x => x.remote && x.kind === 'sentinel' && x.sees !== undefined)) {
				out[i.name] = { sees: serverAt(i.sees!), epoch: i.epoch ?? null, quorum: null, others: null, down: false, flags: '', failover: '' };
			}
			await Promise.all(s.instances.filter(i => i.kind === 'sentinel' && i.state === 'ready').map(async i => {
				const [r] = await run([['SENTINEL', 'MASTER', s.name]], { target: i.name, timeout_ms: 3000 });
				if (errorOf(r) === null) {
					const f = fieldsOf(r);
					const port = numberOf(f.port);
					out[i.name] = {
						sees: serverAt(`${textOf(f.ip)}:${port ?? textOf(f.port)}`),
						epoch: numberOf(f['config-epoch']), quorum: numberOf(f.quorum), others: numberOf(f['num-other-sentinels']),
						down: /[so]_down/.test(textOf(f.flags)), flags: textOf(f.flags), failover: textOf(f['failover-state']),
					};
				}
			}));
			set(out);
		} catch {
			// The status says what is down; the sentinels' words just stay as they were.
		} finally {
			busy.current = false;
		}
	};
	useEffect(() => { look(); }, [status.value?.master?.epoch, status.value?.state]);
	useEvery(look, 2000);
	return views;
}

// The server there, as people call it.
function serverAt(at: string): string {
	const s = status.peek();
	const i = instances.peek().find(x => x.kind === 'redis' && `${x.host}:${x.port}` === at);
	return s && i ? label(s, i) : at;
}

function Picture({ sentinels, chosen }: { sentinels: Record<string, SentinelView>; chosen: string | null }): JSX.Element {
	const phone = usePhone();
	const s = status.value!;
	const m = mapOf(s, sentinels, sample.value?.figures ?? {}, phone);
	const open = (name: string) => go(linkTo('cluster', chosen === name ? [] : [encodeURIComponent(name)]));
	return (
		<svg class="map" viewBox={`0 0 ${m.width} ${m.height}`} role="group" aria-label={`Picture of the cluster: ${m.summary}`} data-master={s.master?.name ?? ''}>
			{m.lanes.map(l => <text key={l.text} class="lane" x={l.x} y={l.y} text-anchor={l.anchor}>{l.text}</text>)}
			{m.links.map(l => <path key={l.id} class={`link ${l.kind}`} d={l.d} />)}
			{m.labels.map(l => <g key={l.id}><rect class="plate" x={l.x - l.w / 2} y={l.y - 9} width={l.w} height={18} rx={3} /><text class="t2" x={l.x} y={l.y + 4} text-anchor="middle">{l.text}</text></g>)}
			{m.nodes.map(n => (
				<g key={n.name} class={`node is-${n.look}${chosen === n.name ? ' on' : ''}`} style={{ transform: `translate(${n.x}px, ${n.y}px)` }} tabIndex={0} role="button" aria-label={`${n.label}: ${n.said}`} data-name={n.name} data-role={n.role}
					onClick={() => open(n.name)} onKeyDown={e => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); open(n.name); } }}>
					<rect class="box" width={n.w} height={n.h} rx={7} />
					<text class="name" x={12} y={n.h / 2 - (n.second === '' ? -4 : 4)}>{n.label}</text>
					{n.right !== '' && <text class="t2" x={n.w - 12} y={n.h / 2 - (n.second === '' ? -4 : 4)} text-anchor="end">{n.right}</text>}
					{n.second !== '' && <text class="t2" x={12} y={n.h / 2 + 14}>{n.second}</text>}
				</g>))}
		</svg>
	);
}

function Switchover(): JSX.Element | null {
	const [open, set] = useState(false);
	if (!operator.value) {
		return null;
	}
	return <><Button onClick={rolling} icon="refresh" title="All servers anew, one after the other, while clients go on">Rolling restart</Button><Button icon="swap" onClick={() => set(true)}>Switch over…</Button>{open && <SwitchoverDialog onClose={() => set(false)} />}</>;
}

async function rolling(): Promise<void> {
	if (await ask({ title: 'Restart every server?', text: 'One after the other: the replicas, then the master hands over, then the old master, then the sentinels. Clients of proxy and HTTP go on. It takes some seconds for each server, and stops at the first step that fails.', yes: 'Restart all' })) {
		api.rolling().then(r => note(r.text ?? 'The rolling restart has begun; the timeline tells each step.'), complain);
	}
}

function SwitchoverDialog({ onClose }: { onClose: () => void }): JSX.Element {
	const [to, setTo] = useState<string>('');
	const plan = useLoad<Plan>(() => api.plan(to === '' ? undefined : to), [to]);
	const [busy, setBusy] = useState(false);
	const p = plan.data;
	const target = to === '' ? p?.to : to;
	const doIt = () => {
		setBusy(true);
		api.failover(to === '' ? undefined : to).then(r => { note(r.text ?? `${target} is master`); onClose(); }, e => { complain(e); setBusy(false); });
	};
	const fit = p?.candidates.find(c => c.name === target)?.fit === true;
	return (
		<Dialog title="Hand the master's work over" onClose={onClose} wide>
			{plan.error !== null && <Fault error={plan.error} again={plan.reload} />}
			{p && <>
				<p>{target ? <><b>{target}</b> would take over from <b>{p.master ?? 'nobody'}</b>: {p.why}.</> : <>Nobody can take over: {p.why}.</>}</p>
				<div class="tbl-box"><table class="tbl cands" aria-label="Candidates">
					<thead><tr><th scope="col">Replica</th><th scope="col">Fit</th><th scope="col" class="num">Behind</th><th scope="col" class="num thin">Offset</th><th scope="col" class="num thin">Priority</th><th scope="col">Why</th></tr></thead>
					<tbody>{p.candidates.map(c => (
						<tr key={c.name} class={c.name === target ? 'on' : ''}>
							<td><label class="check"><input type="radio" name="to" checked={c.name === target} disabled={!c.fit} onChange={() => setTo(c.name)} />{c.name}</label></td>
							<td><span class="state"><Mark grade={c.fit ? 'good' : 'bad'} />{c.fit ? 'fit' : 'not fit'}</span></td>
							<td class="num">{c.lag_bytes === 0 ? 'in step' : bytes(c.lag_bytes)}</td><td class="num thin">{whole(c.offset)}</td><td class="num thin">{c.priority ?? NONE}</td><td class="grow">{c.why}</td>
						</tr>))}</tbody>
				</table></div>
				<p class="hint">Clients of the proxy keep their connection and see a pause of some milliseconds. Clients that speak to a server itself must find the new master through the sentinels.</p>
				<div class="dialog-acts"><Button onClick={onClose}>Cancel</Button><Button kind="main" busy={busy} disabled={!fit} onClick={doIt}>{busy ? 'Handing over…' : `Make ${target ?? 'it'} master`}</Button></div>
			</>}
		</Dialog>
	);
}

async function act(i: Instance, action: 'start' | 'stop' | 'restart'): Promise<void> {
	const master = i.role === 'master';
	const text: Record<string, string> = {
		stop: `${i.name} stays stopped until it is started again, also over restarts of Holdfast.${master ? ' It is the master: a replica takes over first.' : ''}${i.kind === 'proxy' || i.kind === 'http' ? ' Its clients lose their connections.' : ''}`,
		restart: `${i.name} is stopped and started again.${master ? ' It is the master: a replica takes over first and stays master.' : ''}${i.kind === 'proxy' || i.kind === 'http' ? ' Its clients lose their connections; this page may be one of them.' : ''}`,
	};
	if (action !== 'start' && !(await ask({ title: `${action === 'stop' ? 'Stop' : 'Restart'} ${i.name}?`, text: text[action]!, yes: action === 'stop' ? `Stop ${i.name}` : `Restart ${i.name}`, grave: action === 'stop' }))) {
		return;
	}
	api.act(i.name, action).then(r => note(r.text ?? `${i.name}: ${action} done`), complain);
}

function Acts({ i }: { i: Instance }): JSX.Element | null {
	if (!operator.value || i.state === 'unknown') {
		return null;
	}
	const stop = (e: MouseEvent, f: () => Promise<void>) => { e.stopPropagation(); f().catch(complain); };
	return i.wanted === 'down' || i.state === 'failed' || i.state === 'stopped'
		? <Button icon="play" label={`Start ${i.name}`} kind="quiet" onClick={e => stop(e, () => act(i, 'start'))} />
		: <><Button icon="refresh" label={`Restart ${i.name}`} kind="quiet" onClick={e => stop(e, () => act(i, 'restart'))} /><Button icon="stop" label={`Stop ${i.name}`} kind="quiet" onClick={e => stop(e, () => act(i, 'stop'))} /></>;
}

function Processes({ list, chosen }: { list: Instance[]; chosen: string | null }): JSX.Element {
	const s = status.value!;
	const order = [...list].sort((a, b) => rank(a) - rank(b));
	const row = (i: Instance) => <Row key={i.name} i={i} chosen={i.name === chosen} />;
	return (
		<Panel title="Processes">
			<div class="tbl-box"><table class="tbl" aria-label="Processes">
				<thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">Role</th><th scope="col" class="num thin">Port</th><th scope="col" class="num">Behind</th><th scope="col" class="num thin">Ops/s</th><th scope="col" class="num thin">Memory</th><th scope="col" class="num thin">Clients</th><th scope="col" class="num thin">Restarts</th><th scope="col" class="num thin">Up</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
				{several(s) ? s.hosts!.map(h => <tbody key={h.name} aria-label={`Host ${h.name}`}><HostRow h={h} />{order.filter(i => i.node === h.name).map(row)}</tbody>) : <tbody>{order.map(row)}</tbody>}
			</table></div>
		</Panel>
	);
}

const DOORS: [string, string][] = [['proxy.listen', 'Proxy'], ['proxy.durable_listen', 'Proxy, durable writes'], ['proxy.read_listen', 'Proxy, reads'], ['http.listen', 'HTTP']];

// Where clients connect: on all hosts, as each of them announces it.
function Doors({ doors }: { doors: NonNullable<Status['doors']> }): JSX.Element | null {
	const rows = DOORS.flatMap(([option, name]) => (doors[option] ?? []).map(d => ({ ...d, name })));
	return rows.length === 0 ? null : (
		<Panel title="For clients">
			<div class="tbl-box"><table class="tbl" aria-label="Where clients connect">
				<thead><tr><th>Door</th><th>Address</th><th>Host</th></tr></thead>
				<tbody>{rows.map(d => <tr key={`${d.name} ${d.node} ${d.at}`}><td>{d.name}</td><td>{d.at}</td><td>{d.node}</td></tr>)}</tbody>
			</table></div>
		</Panel>
	);
}

function HostRow({ h }: { h: Host }): JSX.Element {
	const state = hostState(h);
	return <tr class="host" data-host={h.name}><th scope="rowgroup" colSpan={11}><span class="state"><Mark grade={state.grade} /><b>Host {h.name}</b> <span class="dim">{h.address}</span> {state.word}{!h.self && !h.reachable && h.silent_ms !== undefined && ` for ${duration(h.silent_ms)}`}</span>{state.why !== '' && <div class="hint">{state.why}</div>}</th></tr>;
}

function Row({ i, chosen }: { i: Instance; chosen: boolean }): JSX.Element {
	return (
		<tr class={`link${chosen ? ' on' : ''}`} onClick={() => go(linkTo('cluster', chosen ? [] : [encodeURIComponent(i.name)]))}>
			<td class={`inst-name${i.role === 'replica' ? ' sub' : ''}`}><a href={linkTo('cluster', [encodeURIComponent(i.name)])} onClick={e => e.stopPropagation()}>{label(status.value!, i)}</a></td>
			<td><span class="state" title={i.note}><Mark grade={gradeOf(i)} />{i.wanted === 'down' && i.state === 'stopped' ? 'stopped by hand' : i.state === 'unknown' ? 'not heard' : i.state}</span>{i.note && <div class="hint">{i.note}</div>}</td>
			<td>{i.role === 'master' ? <span class="tag tag-main">master</span> : (i.role ?? <span class="dim">{i.kind}</span>)}</td>
			<td class="num thin">{i.port}</td>
			<td class="num">{i.lag_bytes === null ? NONE : i.lag_bytes === 0 ? 'in step' : bytes(i.lag_bytes)}</td>
			<td class="num thin">{i.kind === 'sentinel' ? NONE : short(figure(i.name, 'ops'))}</td>
			<td class="num thin">{i.kind === 'redis' ? bytes(figure(i.name, 'memory_bytes')) : NONE}</td>
			<td class="num thin">{i.kind === 'sentinel' ? NONE : whole(figure(i.name, 'clients') ?? i.stats?.clients?.now)}</td>
			<td class="num thin">{i.state === 'unknown' ? NONE : i.restarts > 0 ? <span class="tag tag-warn">{i.restarts}</span> : 0}</td>
			<td class="num thin">{i.pid === null ? NONE : brief(i.uptime_ms)}</td>
			<td class="acts"><Acts i={i} /></td>
		</tr>
	);
}

function rank(i: Instance): number {
	return i.role === 'master' ? 0 : i.kind === 'redis' ? 1 : i.kind === 'sentinel' ? 2 : i.kind === 'proxy' ? 3 : 4;
}

function Details({ i, sentinel }: { i: Instance; sentinel: SentinelView | undefined }): JSX.Element {
	const logs = useLoad(() => api.logs(i.name, 200), [i.name]);
	useEvery(logs.reload, 2000);
	const box = useRef<HTMLDivElement>(null);
	const panel = useRef<HTMLDivElement>(null);
	const stick = useRef(true);
	useEffect(() => {
		if (box.current && stick.current) {
			box.current.scrollTop = box.current.scrollHeight;
		}
	}, [logs.data]);
	useEffect(() => panel.current?.scrollIntoView({ block: 'nearest' }), []);
	const redis = i.kind === 'redis' && !i.remote; // of another host's no figures are here
	return (
		<div ref={panel}>
			<Panel title={<>{label(status.value!, i)} <span class="dim">{i.role ?? i.kind}</span></>} tools={<>{redis && <Button onClick={() => go(linkTo('console', [], { target: i.name }))} icon="console" kind="quiet">Console</Button>}<Acts i={i} /><Button icon="close" label="Close" kind="quiet" onClick={() => go(linkTo('cluster'))} /></>}>
				<div class="panel-body stack">
					<dl class="facts">
						<dt>State</dt><dd><span class="state"><Mark grade={gradeOf(i)} />{i.state === 'unknown' ? 'not heard' : `${i.state}, wanted ${i.wanted}`}</span>{i.note && <> · {i.note}</>}</dd>
						<dt>Address</dt><dd>{i.listen?.join(', ') ?? `${i.host ?? ''}:${i.port}`}</dd>
						<dt>Process</dt><dd>{i.pid === null ? (i.state === 'unknown' ? 'not known' : 'none') : `${i.pid}, up ${duration(i.uptime_ms)}`}, {plural(i.restarts, 'restart')}</dd>
						{redis && <><dt>Memory</dt><dd>{bytes(figure(i.name, 'memory_bytes'))} of {figure(i.name, 'maxmemory_bytes') ? bytes(figure(i.name, 'maxmemory_bytes')) : 'no limit'}; {bytes(figure(i.name, 'rss_bytes'))} resident</dd>
							<dt>Keys</dt><dd>{whole(figure(i.name, 'keys'))}</dd></>}
						{sentinel && <><dt>Sees</dt><dd>{sentinel.sees}{sentinel.flags !== '' && `, flags ${sentinel.flags}`}</dd><dt>Epoch</dt><dd>{sentinel.epoch ?? NONE}{sentinel.quorum !== null && `; quorum ${sentinel.quorum} of ${(sentinel.others ?? 0) + 1}`}</dd></>}
					</dl>
					<h3>Log</h3>
					{logs.error !== null && <Fault error={logs.error} />}
					<div ref={box} class="log" tabIndex={0} role="log" aria-label={`Log of ${i.name}`} onScroll={e => { const t = e.currentTarget; stick.current = t.scrollHeight - t.scrollTop - t.clientHeight < 20; }}>
						{logs.data?.lines.length === 0 ? <span class="dim">It has printed nothing lately.</span> : logs.data?.lines.map(l => l.line).join('\n')}
					</div>
				</div>
			</Panel>
		</div>
	);
}

type Filter = 'all' | 'turns' | 'faults';
const TURN = /^(failover\.|master\.)/;
const BAD = /(failed|exited|lost|degraded|missing|down|damaged)$/;
const GOOD = /(ready|done|up|adopted|elected)$/;

function Timeline(): JSX.Element {
	const [filter, setFilter] = useState<Filter>('all');
	const [more, setMore] = useState<Event[]>([]);
	const [end, setEnd] = useState(false);
	const [gaps, setGaps] = useState<Events['missing'] | null>(null);
	const now = new Date();
	const known = new Set(events.value.map(keyOf));
	const all = newestFirst([...events.value, ...more.filter(e => !known.has(keyOf(e)))]);
	const hosts = status.value ? several(status.value) : false;
	const missing = gaps ?? olderEvents.value.missing;
	const shown = all.filter(e => filter === 'all' || (filter === 'turns' ? TURN.test(e.kind) : BAD.test(e.kind)));
	const older = () => {
		api.events(200, placeBefore(all, olderEvents.value.place)).then(r => { setMore([...more, ...r.events]); setEnd(!r.more); setGaps(r.missing.length > 0 ? r.missing : null); }, complain);
	};
	let lastDay = '';
	const rows: JSX.Element[] = [];
	for (const e of shown) {
		const t = new Date(e.time);
		const d = day(t, now);
		if (d !== lastDay) {
			rows.push(<li key={`d${d}`}><h3>{d}</h3></li>);
			lastDay = d;
		}
		const cls = TURN.test(e.kind) && !BAD.test(e.kind) ? 'ev-turn' : BAD.test(e.kind) ? 'ev-bad' : GOOD.test(e.kind) ? 'ev-good' : '';
		rows.push(<li key={keyOf(e)} class={cls}><time dateTime={e.time} title={`${e.time}, ${ago(now.getTime() - t.getTime())}`}>{clock(t)}</time><span class="dot" /><p>{hosts && <><span class="tag" title={`on host ${e.host}`}>{e.host}</span> </>}<b>{e.subject}</b> {e.text}<span class="kind">{e.kind}</span></p></li>);
	}
	return (
		<Panel title="Timeline" tools={<Choice<Filter> label="Which events" value={filter} onChange={setFilter} options={[{ value: 'all', text: 'All' }, { value: 'turns', text: 'Master' }, { value: 'faults', text: 'Faults' }]} />}>
			{missing.map(m => <p key={m.host} class="missing" role="note"><Mark grade="warn" /><span>Events of host {m.host} are missing: {m.why}</span></p>)}
			{eventsKnown.value !== true ? (eventsKnown.value === null ? <Empty>…</Empty> : <Fault error={eventsKnown.value} />) : rows.length === 0 ? <Empty>{filter === 'faults' ? 'No fault' : 'Nothing of that kind'} in {end ? 'all that is kept' : `the last ${plural(all.length, 'event')}`}. {!end && <Button kind="quiet" onClick={older}>Older</Button>}</Empty> : <ol class="timeline" tabIndex={0} aria-label="Events, newest first">{rows}{!end && <li class="only"><Button kind="quiet" onClick={older}>Older</Button></li>}</ol>}
		</Panel>
	);
}

function ModuleMatrix(): JSX.Element {
	const m = useLoad<Modules>(() => api.modules(), [status.value?.state, status.value?.master?.name]);
	const d = m.data;
	if (!d) {
		return <Panel title="Modules">{m.error === null ? <Empty>…</Empty> : <div class="panel-body"><Fault error={m.error} again={m.reload} /></div>}</Panel>;
	}
	const wanted = d.wanted.map(w => w as Record<string, unknown>);
	const names = [...new Set([...wanted.map(w => String(w.name ?? w.word ?? '')), ...d.instances.flatMap(i => i.modules.map(x => x.name))])].filter(n => n !== '');
	const found = d.catalogue.filter(c => c.found.length > 0);
	return (
		<Panel title="Modules">
			{names.length === 0 ? <p class="panel-body soft">No module is asked for and none is loaded.{found.length > 0 && <> Found on this host: {found.map(c => c.name).join(', ')}; redis.modules takes them in.</>}</p>
				: <div class="tbl-box"><table class="tbl" aria-label="Modules by server">
					<thead><tr><th scope="col">Module</th><th scope="col">Asked for</th>{d.instances.map(i => <th scope="col" key={i.name}>{i.name}</th>)}</tr></thead>
					<tbody>{names.map(n => {
						const w = wanted.find(x => x.name === n || x.word === n);
						return <tr key={n}><td class="inst-name">{n}</td><td>{w ? (w.required === false ? 'may be missing' : 'yes') : 'no'}</td>{d.instances.map(i => {
							const x = i.modules.find(y => y.name === n);
							return <td key={i.name}>{x ? <span class="state"><Mark grade={x.probe === null || x.probe === undefined || x.probe === '' || x.probe === 'ok' || x.probe === 'good' ? 'good' : 'warn'} />{String(x.version ?? '')}</span> : i.known ? <span class="state"><Mark grade={w && w.required !== false ? 'bad' : 'off'} />missing</span> : <span class="dim">not known</span>}</td>;
						})}</tr>;
					})}</tbody>
				</table></div>}
			{d.instances.filter(i => i.fault ?? i.differs).map(i => <p key={i.name} class="panel-body state"><Mark grade="warn" />{i.name}: {i.fault ?? i.differs}</p>)}
			{d.why && <p class="panel-body soft">{d.why}</p>}
		</Panel>
	);
}
