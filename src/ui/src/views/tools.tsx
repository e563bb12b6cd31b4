// Slow log, MONITOR, publish/subscribe, clients, memory, users, indexes: each with an address of its own.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { one, run, stream } from '../api/client';
import type { MonitorLine } from '../api/types';
import { type Bin, escape } from '../core/bin';
import { bytes, clock, dated, duration, micros, plural, whole } from '../core/format';
import { binOf, errorOf, fieldsOf, listOf, numberOf, pairsOf, textOf, wordsOf } from '../core/reply';
import { Button, Choice, Empty, Fault, Field, Input, Mark, Panel, Select, Table, useEvery, useLoad } from '../parts/parts';
import { ask, complain, go, linkTo, note, operator, part, route, say, status } from '../state';
import { MemoryTool } from './memory';
import { IndexInfo } from './module';

const TABS: [string, string][] = [['slowlog', 'Slow log'], ['monitor', 'Monitor'], ['pubsub', 'Publish/subscribe'], ['clients', 'Clients'], ['memory', 'Memory'], ['users', 'Users'], ['indexes', 'Search indexes']];

export function Tools(): JSX.Element {
	const tab = route.value.path[0] ?? 'slowlog';
	const tabs = useRef<HTMLElement>(null);
	// a phone does not show them all
	useEffect(() => tabs.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }), [tab]);
	return (
		<>
			<nav ref={tabs} class="tabs" aria-label="Tools">{TABS.map(([id, name]) => <a key={id} href={linkTo('tools', [id])} aria-current={tab === id ? 'page' : undefined}>{name}</a>)}</nav>
			<div class="tool" tabIndex={-1}><div class="stack">
				{tab === 'slowlog' ? <SlowLog /> : tab === 'monitor' ? <Monitor /> : tab === 'pubsub' ? <PubSub /> : tab === 'clients' ? <Clients /> : tab === 'memory' ? <MemoryTool /> : tab === 'users' ? <Users /> : tab === 'indexes' ? <Indexes /> : <Empty>There is no tool “{tab}”.</Empty>}
			</div></div>
		</>
	);
}

export function targets(): string[] {
	return ['master', ...(status.value?.instances.filter(i => i.kind === 'redis' && i.wanted === 'up').map(i => i.name) ?? [])];
}

// `first` is asked unless another one is chosen; `more` can be asked beside the servers.
export function useTarget(first = 'master', more: [string, string][] = []): [string, JSX.Element] {
	const q = route.value.query;
	const target = q.target ?? first;
	const list: (string | [string, string])[] = [...more, ...targets()];
	const known = list.some(x => (Array.isArray(x) ? x[0] : x) === target);
	return [target, <Select key="target" label="Server" value={target} onChange={v => go(linkTo('tools', route.value.path, { ...q, target: v === first ? '' : v }), true)} options={known ? list : [...list, target]} />];
}

// The proxy that tells of its clients; one of its workers tells of all. Not behind TLS or the PROXY protocol: the page cannot ask there.
function proxyToAsk(): string | null {
	return status.value?.instances.find(i => i.kind === 'proxy' && i.state === 'ready' && i.listen?.some(l => !/^(proxied:|tls:)/.test(l)))?.name ?? null;
}

interface Slow {
	id: number;
	time: number;
	us: number;
	command: Bin[];
	client: string;
	name: string;
}

function SlowLog(): JSX.Element {
	const [target, choose] = useTarget();
	const d = useLoad(async () => {
		const [log, conf] = await run([['SLOWLOG', 'GET', 128], ['CONFIG', 'GET', 'slowlog-log-slower-than']], { target });
		const e = errorOf(log);
		if (e !== null) {
			throw new Error(e);
		}
		return {
			list: listOf(log).map((x): Slow => { const [id, time, us, command, client, name] = listOf(x); return { id: numberOf(id) ?? 0, time: numberOf(time) ?? 0, us: numberOf(us) ?? 0, command: listOf(command).map(binOf), client: textOf(client), name: textOf(name) }; }),
			threshold: numberOf(pairsOf(conf)[0]?.[1]),
		};
	}, [target]);
	useEvery(d.reload, 3000);
	const [text, setText] = useState<string | null>(null);
	const set = async () => {
		const n = Number(text);
		if (!Number.isInteger(n) || n < -1) {
			throw new Error('A threshold is a number of microseconds; -1 switches the slow log off, 0 logs everything');
		}
		await one(['CONFIG', 'SET', 'slowlog-log-slower-than', n], { target });
		note(n < 0 ? `${target} logs nothing, until it restarts` : `${target} logs what takes ${micros(n)} or more, until it restarts`);
		setText(null);
		d.reload();
	};
	const reset = async () => {
		if (await ask({ title: 'Empty the slow log?', text: `Its entries on ${target} are gone.`, yes: 'Empty', grave: true })) {
			await one(['SLOWLOG', 'RESET'], { target });
			d.reload();
		}
	};
	const top = Math.max(1, ...(d.data?.list.map(s => s.us) ?? []));
	return (
		<Panel title="Slow log" tools={<>{choose}{operator.value && <><Input label="Threshold in microseconds" mono type="number" value={text ?? String(d.data?.threshold ?? '')} onInput={setText} onEnter={() => { set().catch(complain); }} /><span class="hint">µs</span><Button disabled={text === null} onClick={() => { set().catch(complain); }}>Set threshold</Button><Button icon="trash" label="Empty the slow log" kind="quiet" onClick={() => { reset().catch(complain); }} /></>}</>}>
			{d.error !== null && <Fault error={d.error} again={d.reload} />}
			{d.data && (d.data.list.length === 0 ? <Empty>{d.data.threshold === null ? 'The slow log is empty.' : d.data.threshold < 0 ? 'The slow log is switched off (a threshold of -1).' : `Nothing has taken ${micros(d.data.threshold)} or more.`}</Empty> : <Table<Slow> label="Slow log" rows={d.data.list} id={s => s.id} sorted={[0, -1]} columns={[
				{ head: 'When', cell: s => <time dateTime={new Date(s.time * 1000).toISOString()}>{dated(new Date(s.time * 1000), new Date())}</time>, sort: s => s.time * 1e6 + (s.id % 1e6) },
				{ head: 'Took', num: true, cell: s => <span class="bar-cell">{micros(s.us)}<i class="meter" style={{ width: `${(s.us / top) * 100}%` }} /></span>, sort: s => s.us },
				{ head: 'Command', grow: true, cell: s => <span class="mono bytes">{s.command.map(escape).join(' ').slice(0, 600)}</span> },
				{ head: 'Client', thin: true, cell: s => <span class="mono">{s.client}{s.name !== '' && ` ${s.name}`}</span>, sort: s => s.client },
			]} />)}
		</Panel>
	);
}

const FOR_OPERATORS = 'This is for operators: a user whose section of the configuration has role = operator.';
const KEEP_LINES = 2000;
const DRAWN = 300;

function Monitor(): JSX.Element {
	const [target, choose] = useTarget();
	const [seconds, setSeconds] = useState('10');
	const [on, setOn] = useState(false);
	const [lines, setLines] = useState<MonitorLine[]>([]);
	const [count, setCount] = useState(0);
	const [kinds, setKinds] = useState<[string, number][]>([]);
	const [filter, setFilter] = useState('');
	const [why, setWhy] = useState('');
	const end = useRef<(() => void) | null>(null);
	const stop = () => { end.current?.(); end.current = null; setOn(false); };
	useEffect(() => () => { end.current?.(); }, []);
	const start = async () => {
		if (!(await ask({ title: `Watch every command of ${target}?`, text: `MONITOR slows a busy server down, by half or more. It ends by itself after ${seconds} s or 10,000 lines. Arguments are shown: there may be personal data among them.`, yes: 'Watch' }))) {
			return;
		}
		let buf: MonitorLine[] = [];
		let n = 0;
		const byKind = new Map<string, number>();
		let fresh = false;
		setLines([]);
		setCount(0);
		setWhy('');
		setOn(true);
		const draw = setInterval(() => {
			if (fresh) {
				fresh = false;
				setLines(buf);
				setCount(n);
				setKinds([...byKind].sort((a, b) => b[1] - a[1]).slice(0, 12));
			}
		}, 200);
		const close = stream(`/monitor?target=${encodeURIComponent(target)}&seconds=${seconds}&max=10000`, {
			line: (l: MonitorLine) => {
				n++;
				buf = [...buf.slice(-KEEP_LINES + 1), l];
				const k = escape(l.command[0] ?? '').toUpperCase();
				byKind.set(k, (byKind.get(k) ?? 0) + 1);
				fresh = true;
			},
			end: (e: { reason: string }) => { setWhy(e.reason); stop(); },
		}, () => { setWhy('the connection is gone'); stop(); });
		end.current = () => {
			close();
			setTimeout(() => clearInterval(draw), 400);
		};
	};
	const low = filter.toLowerCase();
	const shown = lines.filter(l => low === '' || `${l.client} ${l.command.map(escape).join(' ')}`.toLowerCase().includes(low)).slice(-DRAWN).reverse();
	return (
		<>
			<p class="warnbox"><Mark grade="warn" /><span>MONITOR makes the server send every command to this page. On a busy server that costs half of its throughput or more; use a replica or a short time. It stops by itself.</span></p>
			<Panel title="Monitor" tools={<>{choose}<Choice label="For" value={seconds} onChange={setSeconds} options={[{ value: '5', text: '5 s' }, { value: '10', text: '10 s' }, { value: '30', text: '30 s' }, { value: '60', text: '1 min' }]} />{on ? <Button icon="stop" onClick={() => { setWhy('stopped here'); stop(); }}>Stop</Button> : <Button icon="play" kind="main" disabled={!operator.value} onClick={() => { start().catch(complain); }}>Start</Button>}</>}>
				<div class="panel-body row"><Input label="Filter" placeholder="Filter: a client, a command, a key" value={filter} onInput={setFilter} /><span role="status" class="soft">{on ? 'watching, ' : ''}{plural(count, 'command')}{why !== '' ? `; ended: ${why}` : ''}</span></div>
				{kinds.length > 0 && <div class="panel-body row">{kinds.map(([k, n]) => <span key={k} class="tag">{k} {whole(n)}</span>)}</div>}
				{shown.length > 0 ? <div class="feed" tabIndex={0} role="log" aria-label="Commands, newest first" aria-live="off">{shown.map((l, i) => <div key={`${l.time}${i}`}><span class="t">{clock(new Date(l.time * 1000), true)}</span><span class="c">{l.client}{l.db > 0 ? ` [${l.db}]` : ''}</span><span>{l.command.map(escape).join(' ').slice(0, 500)}</span></div>)}</div> : <Empty>{on ? 'Waiting for the first command…' : operator.value ? 'Nothing watched yet.' : FOR_OPERATORS}</Empty>}
			</Panel>
		</>
	);
}

interface Message {
	channel: Bin;
	pattern?: Bin;
	data: Bin;
	at: number;
}

function PubSub(): JSX.Element {
	const q = route.value.query;
	const [channels, setChannels] = useState(q.channels ?? '*');
	const [on, setOn] = useState(false);
	const [list, setList] = useState<Message[]>([]);
	const [count, setCount] = useState(0);
	const [why, setWhy] = useState('');
	const end = useRef<(() => void) | null>(null);
	const [channel, setChannel] = useState('');
	const [text, setText] = useState('');
	const stop = () => { end.current?.(); end.current = null; setOn(false); };
	useEffect(() => () => { end.current?.(); }, []);
	const names = useLoad(async () => {
		const r = listOf(await one(['PUBSUB', 'CHANNELS'])).map(binOf).slice(0, 100);
		const n = r.length === 0 ? [] : listOf(await one(['PUBSUB', 'NUMSUB', ...r]));
		const m = pairsOf(n);
		return r.map((c, i) => ({ name: c, subscribers: numberOf(m[i]?.[1]) ?? 0 })).filter(c => escape(c.name) !== '__sentinel__:hello');
	}, []);
	useEvery(names.reload, 3000);
	const start = (wanted: string) => {
		stop();
		const words = wanted.split(/[\s,]+/).filter(w => w !== '');
		if (words.length === 0) {
			return;
		}
		const query = words.map(w => `${/[*?[]/.test(w) ? 'pattern' : 'channel'}=${encodeURIComponent(w)}`).join('&');
		setOn(true);
		setWhy('');
		setList([]);
		setCount(0);
		let buf: Message[] = [];
		let n = 0;
		let fresh = false;
		const draw = setInterval(() => {
			if (fresh) {
				fresh = false;
				setList(buf);
				setCount(n);
			}
		}, 150);
		const close = stream(`/subscribe?${query}&seconds=3600`, {
			message: (m: Omit<Message, 'at'>) => { n++; buf = [{ ...m, at: Date.now() }, ...buf.slice(0, DRAWN - 1)]; fresh = true; },
			end: (e: { reason: string }) => { setWhy(e.reason); stop(); },
		}, () => setWhy('the connection was lost; trying again'));
		end.current = () => { close(); setTimeout(() => clearInterval(draw), 300); };
		go(linkTo('tools', ['pubsub'], { channels: wanted }), true);
	};
	const publish = () => { one(['PUBLISH', channel, text]).then(r => { note(`Heard by ${plural(numberOf(r) ?? 0, 'subscriber')} of the master`); setText(''); }, complain); };
	return (
		<>
			<Panel title="Listen" tools={on ? <Button icon="stop" onClick={stop}>Stop</Button> : <Button icon="play" kind="main" onClick={() => start(channels)}>Listen</Button>}>
				<div class="panel-body stack">
					<Field label="Channels and patterns, separated by spaces"><Input mono value={channels} onInput={setChannels} onEnter={() => start(channels)} /></Field>
					{names.data && names.data.length > 0 && <div class="row"><span class="hint">Heard by somebody now:</span>{names.data.map(c => <button key={escape(c.name)} type="button" class="lnk mono" onClick={() => { setChannels(escape(c.name)); setChannel(escape(c.name)); start(escape(c.name)); }}>{escape(c.name)} ({c.subscribers})</button>)}</div>}
					<span role="status" class="soft">{on ? 'listening, ' : ''}{plural(count, 'message')}{why !== '' ? `; ${why}` : ''}</span>
				</div>
				{list.length > 0 && <div class="feed" tabIndex={0} role="log" aria-label="Messages, newest first" aria-live="off">{list.map((m, i) => <div key={count - i}><span class="t">{clock(new Date(m.at), true)}</span><span class="c" title={escape(m.channel)}>{escape(m.channel)}</span><span>{escape(m.data).slice(0, 2000)}</span></div>)}</div>}
			</Panel>
			{operator.value && <Panel title="Publish"><div class="panel-body row"><Input label="Channel" placeholder="Channel" mono value={channel} onInput={setChannel} /><Input label="Message" placeholder="Message" mono value={text} onInput={setText} onEnter={publish} /><Button kind="main" disabled={channel === ''} onClick={publish}>Publish</Button></div></Panel>}
		</>
	);
}

function Clients(): JSX.Element {
	const proxy = proxyToAsk();
	const [target, choose] = useTarget(proxy ?? 'master', proxy === null ? [] : [[proxy, 'proxy']]);
	const ofProxy = target.startsWith('proxy');
	const [filter, setFilter] = useState('');
	const d = useLoad(async () => textOf(await one(['CLIENT', 'LIST'], { target })).split('\n').filter(l => l !== '').map(wordsOf), [target]);
	useEvery(d.reload, 3000);
	const kill = async (c: Record<string, string>) => {
		if (await ask({ title: 'Close this connection?', text: `Client ${c.id} at ${c.addr}${c.name ? ` (${c.name})` : ''}. Many connect again at once.${ofProxy ? '' : ' A connection of the proxy carries the requests of many clients.'}`, yes: 'Close it', grave: true })) {
			const r = await one(['CLIENT', 'KILL', 'ID', c.id ?? ''], { target });
			note(numberOf(r) === 0 ? 'It was gone already' : 'Connection closed');
			d.reload();
		}
	};
	const low = filter.toLowerCase();
	const rows = (d.data ?? []).filter(c => low === '' || Object.values(c).some(v => v.toLowerCase().includes(low)));
	type C = Record<string, string>;
	const n = (c: C, k: string) => Number(c[k] ?? 0);
	return (
		<Panel title={<>Clients <span class="dim">{d.data ? whole(d.data.length) : ''}</span></>} tools={<><Input label="Filter" placeholder="Filter" value={filter} onInput={setFilter} />{choose}</>}>
			<p class="panel-body soft">{ofProxy ? 'Who is connected to the proxy; the page itself is among them while it asks. The connections of a server are those of proxy, sentinels and replicas, and of clients that speak to it directly.' : `Who is connected to ${target}. Clients of the proxy share its few connections: choose the proxy to see them.`}</p>
			{d.error !== null && <Fault error={d.error} again={d.reload} />}
			<Table<C> label="Clients" rows={rows} id={c => c.id ?? ''} sorted={[5, 1]} columns={[
				{ head: 'ID', num: true, cell: c => c.id, sort: c => n(c, 'id') },
				{ head: 'Address', cell: c => <span class="mono">{c.addr}</span>, sort: c => c.addr ?? '' },
				{ head: 'Name', cell: c => <span class="bytes">{c.name || <span class="dim">none</span>}{c['lib-name'] ? <span class="hint"> {c['lib-name']} {c['lib-ver']}</span> : ''}</span>, sort: c => c.name ?? '' },
				{ head: 'User', thin: true, cell: c => c.user ?? '', sort: c => c.user ?? '' },
				{ head: 'Last command', cell: c => <span class="mono">{(c.cmd ?? '').replace('|', ' ')}</span>, sort: c => c.cmd ?? '' },
				{ head: 'Idle', num: true, cell: c => duration(n(c, 'idle') * 1000), sort: c => n(c, 'idle') },
				{ head: 'Age', num: true, thin: true, cell: c => duration(n(c, 'age') * 1000), sort: c => n(c, 'age') },
				{ head: 'Flags', thin: true, cell: c => <span class="mono" title={flagText(c.flags ?? '')}>{c.flags}</span>, sort: c => c.flags ?? '' },
				{ head: 'Memory', num: true, thin: true, cell: c => bytes(n(c, 'tot-mem')), sort: c => n(c, 'tot-mem') },
				...(operator.value ? [{ head: '', cell: (c: C) => <Button icon="close" label={`Close connection ${c.id}`} kind="quiet" onClick={() => { kill(c).catch(complain); }} /> }] : []),
			]} />
		</Panel>
	);
}

function flagText(f: string): string {
	const m: Record<string, string> = { N: 'ordinary', M: 'the master', S: 'a replica', O: 'MONITOR', P: 'subscribed', x: 'in a transaction', b: 'blocked', t: 'tracking', u: 'unix socket', r: 'read-only', A: 'to be closed' };
	return [...f].map(c => m[c] ?? c).join(', ');
}

function Users(): JSX.Element {
	const [open, setOpen] = useState<string | null>(null);
	const [command, setCommand] = useState('GET key');
	const [verdict, setVerdict] = useState('');
	const d = useLoad(async () => {
		const [list, who, log] = await run([['ACL', 'LIST'], ['ACL', 'WHOAMI'], ['ACL', 'LOG', 20]]);
		const e = errorOf(list);
		if (e !== null) {
			throw new Error(e);
		}
		return { users: listOf(list).map(textOf).map(l => { const w = l.split(' '); return { name: w[1] ?? '', rules: w.slice(2) }; }), who: textOf(who), log: errorOf(log) === null ? listOf(log).map(fieldsOf) : [] };
	}, []);
	const test = () => {
		run([['ACL', 'DRYRUN', open ?? '', ...command.split(/\s+/).filter(w => w !== '')]]).then(([r]) => setVerdict(textOf(r) === 'OK' ? 'allowed' : textOf(r)), e => setVerdict(say(e)));
	};
	const u = d.data?.users.find(x => x.name === open);
	if (!operator.value) {
		return <Panel title="Users of Redis"><Empty>{FOR_OPERATORS}</Empty></Panel>;
	}
	return (
		<>
			<Panel title="Users of Redis" tools={<Button icon="refresh" label="Load again" kind="quiet" onClick={d.reload} />}>
				{d.error !== null && <Fault error={d.error} again={d.reload} />}
				{d.data && <Table label="Users" rows={d.data.users} id={x => x.name} onRow={x => { setOpen(x.name); setVerdict(''); }} columns={[
					{ head: 'User', cell: x => <button type="button" class="lnk" onClick={() => setOpen(x.name)}>{x.name}</button>, sort: x => x.name },
					{ head: 'State', cell: x => <span class="state"><Mark grade={x.rules.includes('on') ? 'good' : 'off'} />{x.rules.includes('on') ? 'on' : 'off'}</span> },
					{ head: 'Password', cell: x => (x.rules.includes('nopass') ? <span class="tag tag-warn">none needed</span> : plural(x.rules.filter(r => r.startsWith('#')).length, 'password')) },
					{ head: 'Keys', thin: true, cell: x => <span class="acl-rules">{x.rules.filter(r => /^(~|%|allkeys)/.test(r)).join(' ') || 'none'}</span> },
					{ head: 'Channels', thin: true, cell: x => <span class="acl-rules">{x.rules.filter(r => /^(&|allchannels)/.test(r)).join(' ') || 'none'}</span> },
					{ head: 'Commands', grow: true, cell: x => <Rules rules={x.rules} /> },
				]} />}
			</Panel>
			{u && <Panel title={`What may ${u.name} do`} tools={<Button icon="close" label="Close" kind="quiet" onClick={() => setOpen(null)} />}>
				<div class="panel-body stack"><Rules rules={u.rules} /><div class="row"><Input label="Command to try" mono value={command} onInput={setCommand} onEnter={test} /><Button onClick={test}>Would it be allowed?</Button></div>{verdict !== '' && <p role="status" class="state"><Mark grade={verdict === 'allowed' ? 'good' : 'bad'} />{verdict}</p>}<p class="hint">Nothing is carried out (ACL DRYRUN, Redis 7).</p></div>
			</Panel>}
			<Panel title="Refused lately">
				{d.data?.log.length === 0 ? <Empty>Nobody was refused.</Empty> : <Table label="Refused" rows={d.data?.log ?? []} id={x => textOf(x['entry-id']) || textOf(x['age-seconds'])} columns={[
					{ head: 'User', cell: x => textOf(x.username) }, { head: 'Why', cell: x => textOf(x.reason) }, { head: 'What', cell: x => <span class="mono">{textOf(x.object)}</span> }, { head: 'Times', num: true, cell: x => textOf(x.count) }, { head: 'Ago', num: true, cell: x => duration((numberOf(x['age-seconds']) ?? 0) * 1000) }, { head: 'Client', grow: true, thin: true, cell: x => <span class="mono">{wordsOf(textOf(x['client-info'])).addr}</span> },
				]} />}
			</Panel>
		</>
	);
}

function Rules({ rules }: { rules: string[] }): JSX.Element {
	return <span class="acl-rules">{rules.filter(r => /^[+-]/.test(r) || /^(allcommands|nocommands)/.test(r)).map((r, i) => <span key={i} class={r.startsWith('+') ? 'plus' : 'minus'}>{r} </span>)}</span>;
}

function Indexes(): JSX.Element {
	const name = part(route.value, 1);
	const d = useLoad(async () => {
		const [c] = await run([['COMMAND', 'INFO', 'FT.INFO', 'FT._LIST']]);
		const [info, list] = listOf(c);
		if (errorOf(c) !== null || info === null || info === undefined) {
			return { list: [], none: true };
		}
		if (list !== null && list !== undefined) {
			return { list: listOf(await one(['FT._LIST'])).map(textOf).sort(), none: false };
		}
		// RediSearch 1 keeps each index as a key.
		const [s] = await run([['SCAN', 0, 'MATCH', 'idx:*', 'COUNT', 1000, 'TYPE', 'ft_index0']]);
		return { list: listOf(listOf(s)[1]).map(k => textOf(k).replace(/^idx:/, '')).sort(), none: false };
	}, []);
	return (
		<>
			<Panel title="Search indexes">
				{d.error !== null && <Fault error={d.error} again={d.reload} />}
				{d.data?.none ? <Empty>No search module is loaded. redis.modules = search loads one where it is there.</Empty> : d.data?.list.length === 0 ? <Empty>No index.</Empty> : <div class="panel-body row">{d.data?.list.map(i => <a key={i} href={linkTo('tools', ['indexes', encodeURIComponent(i)])}>{i}</a>)}</div>}
			</Panel>
			{name !== null && <IndexInfo key={name} name={name} />}
		</>
	);
}

