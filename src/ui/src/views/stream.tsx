// A stream: entries newest first; its groups, their consumers and what is pending, with ack and claim.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { fewer, one, run } from '../api/client';
import { type Bin, escape, toLink, unescape } from '../core/bin';
import { duration, whole } from '../core/format';
import { binOf, errorOf, fieldsOf, listOf, numberOf, pairsOf, type Reply, textOf } from '../core/reply';
import { Button, Bytes, Choice, Empty, Fault, Panel, Select, useLoad } from '../parts/parts';
import { ask, complain, note, operator, say } from '../state';
import type { KeyProps } from './key';
import { ChangeDialog } from './values';

const PAGE = 50;

interface Entry {
	id: string;
	fields: [Bin, Bin][];
}

function entries(r: Reply): Entry[] {
	return listOf(r).map(e => {
		const [id, fields] = listOf(e);
		return { id: textOf(id), fields: pairsOf(fields).map(([k, v]) => [binOf(k), binOf(v)] as [Bin, Bin]) };
	});
}

function when(id: string): string {
	const t = Number(id.split('-')[0]);
	return t > 1e11 && t < 1e14 ? new Date(t).toISOString().replace('T', ' ').replace('Z', '') : '';
}

export function StreamValue(p: KeyProps): JSX.Element {
	const [tab, setTab] = useState<'entries' | 'groups'>('entries');
	return (
		<>
			<div><Choice<'entries' | 'groups'> label="What of it" value={tab} onChange={setTab} options={[{ value: 'entries', text: 'Entries' }, { value: 'groups', text: 'Groups' }]} /></div>
			{tab === 'entries' ? <Entries {...p} /> : <Groups {...p} />}
		</>
	);
}

function Entries(p: KeyProps): JSX.Element {
	const { db, name } = p;
	const [order, setOrder] = useState<'new' | 'old'>('new');
	const [list, setList] = useState<Entry[]>([]);
	const [end, setEnd] = useState(false);
	const [error, setError] = useState('');
	const [adding, setAdding] = useState(false);
	const step = useRef(PAGE);
	const load = async (fresh: boolean) => {
		const last = fresh ? null : (list[list.length - 1]?.id ?? null);
		const from = last === null ? (order === 'new' ? '+' : '-') : `(${last}`;
		const [got, n] = await fewer(step.current, k => one(order === 'new' ? ['XREVRANGE', name, from, '-', 'COUNT', k] : ['XRANGE', name, from, '+', 'COUNT', k], { db }));
		const r = entries(got);
		step.current = n;
		setList(fresh ? r : [...list, ...r]);
		setEnd(r.length < n);
	};
	const go = (fresh: boolean) => { load(fresh).then(() => setError(''), e => setError(say(e))); };
	useEffect(() => go(true), [order]);
	const remove = async (e: Entry) => {
		if (await ask({ title: 'Remove this entry?', text: `Entry ${e.id} is removed on all servers; groups that have it pending keep its ID.`, yes: 'Remove', grave: true })) {
			await one(['XDEL', name, e.id], { db });
			go(true);
			p.changed();
		}
	};
	return (
		<Panel title={<Choice<'new' | 'old'> label="Order" value={order} onChange={setOrder} options={[{ value: 'new', text: 'Newest first' }, { value: 'old', text: 'Oldest first' }]} />} tools={<><Button icon="refresh" label="Load again" kind="quiet" onClick={() => go(true)} />{operator.value && <Button icon="plus" onClick={() => setAdding(true)}>Entry</Button>}</>}>
			{error !== '' && <Fault error={error} />}
			<div class="tbl-box"><table class="tbl"><thead><tr><th scope="col">ID</th><th scope="col">Fields</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
				<tbody>{list.map(e => <tr key={e.id}><td class="mono nowrap">{e.id}<div class="hint">{when(e.id)}</div></td><td class="grow"><div class="pairs">{e.fields.map(([k, v], i) => <span key={i}><span class="soft"><Bytes bin={k} /></span> <Bytes bin={v} /></span>)}</div></td>
					<td class="acts">{operator.value && <Button icon="trash" label={`Remove entry ${e.id}`} kind="quiet" onClick={() => { remove(e).catch(complain); }} />}</td></tr>)}</tbody></table></div>
			{!end && <div class="panel-body"><Button onClick={() => go(false)}>More</Button></div>}
			{adding && <ChangeDialog onClose={() => { setAdding(false); go(true); p.changed(); }} c={{
				title: 'New entry', fields: [{ name: 'ID', value: '*', hint: '*: the server chooses' }, { name: 'Fields', value: '', area: true, hint: 'a line each: field=value' }],
				save: async ([id, text]) => {
					const pairs = (text ?? '').split('\n').filter(l => l !== '').flatMap(l => { const at = l.indexOf('='); if (at < 1) { throw new Error(`“${l.slice(0, 40)}” is not field=value`); } return [unescape(l.slice(0, at)), unescape(l.slice(at + 1))]; });
					if (pairs.length === 0) {
						throw new Error('An entry needs a field');
					}
					await one(['XADD', name, (id ?? '').trim() || '*', ...pairs], { db });
				},
			}} />}
		</Panel>
	);
}

interface Group {
	name: Bin;
	consumers: number;
	pending: number;
	last: string;
	lag: number | null;
}

function Groups(p: KeyProps): JSX.Element {
	const { db, name } = p;
	const [open, setOpen] = useState<Bin | null>(null);
	const [making, setMaking] = useState(false);
	const g = useLoad(async () => listOf(await one(['XINFO', 'GROUPS', name], { db })).map((x): Group => {
		const f = fieldsOf(x);
		return { name: binOf(f.name), consumers: numberOf(f.consumers) ?? 0, pending: numberOf(f.pending) ?? 0, last: textOf(f['last-delivered-id']), lag: numberOf(f.lag) };
	}), []);
	const destroy = async (x: Group) => {
		if (await ask({ title: `Delete the group ${escape(x.name)}?`, text: `${whole(x.pending)} pending entries are forgotten; its consumers get NOGROUP.`, yes: 'Delete', grave: true })) {
			await one(['XGROUP', 'DESTROY', name, x.name], { db });
			setOpen(null);
			g.reload();
		}
	};
	return (
		<>
			<Panel title="Groups" tools={<><Button icon="refresh" label="Load again" kind="quiet" onClick={g.reload} />{operator.value && <Button icon="plus" onClick={() => setMaking(true)}>Group</Button>}</>}>
				{g.error !== null && <Fault error={g.error} again={g.reload} />}
				{g.data?.length === 0 ? <Empty>No group reads this stream.</Empty> : <div class="tbl-box"><table class="tbl"><thead><tr><th scope="col">Group</th><th scope="col" class="num">Consumers</th><th scope="col" class="num">Pending</th><th scope="col" class="num">Behind</th><th scope="col" class="thin">Last delivered</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
					<tbody>{g.data?.map(x => <tr key={toLink(x.name)} class={open !== null && toLink(open) === toLink(x.name) ? 'on' : ''}><td><button type="button" class="lnk" onClick={() => setOpen(x.name)}>{escape(x.name)}</button></td><td class="num">{x.consumers}</td><td class="num">{whole(x.pending)}</td><td class="num">{x.lag === null ? 'not known' : whole(x.lag)}</td><td class="mono thin">{x.last}</td>
						<td class="acts">{operator.value && <Button icon="trash" label={`Delete group ${escape(x.name)}`} kind="quiet" onClick={() => { destroy(x).catch(complain); }} />}</td></tr>)}</tbody></table></div>}
			</Panel>
			{open !== null && <OneGroup key={toLink(open)} p={p} group={open} changed={g.reload} />}
			{making && <ChangeDialog onClose={() => { setMaking(false); g.reload(); }} c={{ title: 'New group', fields: [{ name: 'Name', value: '' }, { name: 'Begins behind', value: '$', hint: '$: only what comes from now on; 0: everything' }], save: async ([n, id]) => { await one(['XGROUP', 'CREATE', name, unescape(n ?? ''), (id ?? '').trim() || '$'], { db }); } }} />}
		</>
	);
}

interface Pending {
	id: string;
	consumer: Bin;
	idle: number;
	times: number;
}

function OneGroup({ p, group, changed }: { p: KeyProps; group: Bin; changed: () => void }): JSX.Element {
	const { db, name } = p;
	const [picked, setPicked] = useState<Set<string>>(new Set());
	const [to, setTo] = useState('');
	const d = useLoad(async () => {
		const [c, q] = await run([['XINFO', 'CONSUMERS', name, group], ['XPENDING', name, group, '-', '+', 200]], { db });
		const e = errorOf(c) ?? errorOf(q);
		if (e !== null) {
			throw new Error(e);
		}
		return {
			consumers: listOf(c).map(x => { const f = fieldsOf(x); return { name: binOf(f.name), pending: numberOf(f.pending) ?? 0, idle: numberOf(f.idle) ?? 0 }; }),
			pending: listOf(q).map((x): Pending => { const [id, consumer, idle, times] = listOf(x); return { id: textOf(id), consumer: binOf(consumer), idle: numberOf(idle) ?? 0, times: numberOf(times) ?? 0 }; }),
		};
	}, []);
	const after = (text: string) => { note(text); setPicked(new Set()); d.reload(); changed(); };
	const ack = async () => { after(`${whole(numberOf(await one(['XACK', name, group, ...picked], { db })))} acknowledged`); };
	const claim = async () => {
		const consumer = to === '' ? d.data?.consumers[0]?.name : unescape(to);
		if (consumer === undefined) {
			throw new Error('Name a consumer');
		}
		after(`${whole(listOf(await one(['XCLAIM', name, group, consumer, 0, ...picked, 'JUSTID'], { db })).length)} claimed for ${escape(consumer)}`);
	};
	const drop = async (c: Bin, n: number) => {
		if (await ask({ title: `Delete the consumer ${escape(c)}?`, text: n > 0 ? `Its ${whole(n)} pending entries are forgotten: nobody gets them again. Claim them for another one first.` : 'It has nothing pending.', yes: 'Delete', grave: n > 0 })) {
			await one(['XGROUP', 'DELCONSUMER', name, group, c], { db });
			after('Consumer deleted');
		}
	};
	const all = d.data?.pending ?? [];
	return (
		<>
			{d.error !== null && <Fault error={d.error} again={d.reload} />}
			<Panel title={`Consumers of ${escape(group)}`}>
				{d.data?.consumers.length === 0 ? <Empty>Nobody has read yet.</Empty> : <div class="tbl-box"><table class="tbl"><thead><tr><th scope="col">Consumer</th><th scope="col" class="num">Pending</th><th scope="col" class="num">Idle</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
					<tbody>{d.data?.consumers.map(c => <tr key={toLink(c.name)}><td class="grow"><Bytes bin={c.name} /></td><td class="num">{whole(c.pending)}</td><td class="num">{duration(c.idle)}</td><td class="acts">{operator.value && <Button icon="trash" label={`Delete consumer ${escape(c.name)}`} kind="quiet" onClick={() => { drop(c.name, c.pending).catch(complain); }} />}</td></tr>)}</tbody></table></div>}
			</Panel>
			<Panel title={`Pending${all.length >= 200 ? ', the first 200' : ''}`} tools={operator.value && all.length > 0 && <>
				<Button disabled={picked.size === 0} onClick={() => { ack().catch(complain); }}>Acknowledge {picked.size || ''}</Button>
				<Select label="Claim for" value={to} onChange={setTo} options={(d.data?.consumers ?? []).map((c, i) => [i === 0 ? '' : escape(c.name), escape(c.name)] as [string, string])} />
				<Button disabled={picked.size === 0} onClick={() => { claim().catch(complain); }}>Claim</Button></>}>
				{all.length === 0 ? <Empty>Nothing is pending.</Empty> : <div class="tbl-box"><table class="tbl"><thead><tr><th scope="col"><input type="checkbox" aria-label="All" checked={picked.size === all.length} onChange={e => setPicked(e.currentTarget.checked ? new Set(all.map(x => x.id)) : new Set())} /></th><th scope="col">ID</th><th scope="col">Consumer</th><th scope="col" class="num">Idle</th><th scope="col" class="num">Delivered</th></tr></thead>
					<tbody>{all.map(x => <tr key={x.id}><td><input type="checkbox" aria-label={x.id} checked={picked.has(x.id)} onChange={e => { const s = new Set(picked); if (e.currentTarget.checked) { s.add(x.id); } else { s.delete(x.id); } setPicked(s); }} /></td><td class="mono nowrap">{x.id}</td><td class="grow"><Bytes bin={x.consumer} /></td><td class="num">{duration(x.idle)}</td><td class="num">{x.times === 1 ? 'once' : `${x.times} times`}</td></tr>)}</tbody></table></div>}
			</Panel>
		</>
	);
}
