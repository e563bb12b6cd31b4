// Hash, list, set and sorted set: pages of their elements, each of which can be changed or removed.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Arg, fewer, one, run } from '../api/client';
import { type Bin, byteLength, escape, sameBin, toLink, unescape } from '../core/bin';
import { NO_TIME, parseDuration, ttl, whole } from '../core/format';
import { binOf, errorOf, listOf, numberOf, pairsOf, textOf } from '../core/reply';
import { Button, Bytes, Choice, Dialog, Fault, Field, Input, Panel, useLoad } from '../parts/parts';
import { ask, complain, operator, say } from '../state';
import type { KeyProps } from './key';
import { patternOf } from './scan';

const PAGE = 100;
const PAGE_BYTES = 8 * 1024 * 1024; // a page of large elements has fewer

interface Change {
	title: string;
	fields: { name: string; value: string; fixed?: boolean; area?: boolean; hint?: string }[];
	save: (values: string[]) => Promise<void>;
}

// One dialog for all that is changed here: named boxes, in escaped form so that bytes survive.
export function ChangeDialog({ c, onClose }: { c: Change; onClose: () => void }): JSX.Element {
	const [values, setValues] = useState(c.fields.map(f => f.value));
	const [error, setError] = useState('');
	const [busy, setBusy] = useState(false);
	const send = () => {
		setBusy(true);
		c.save(values).then(onClose, e => { setError(say(e)); setBusy(false); });
	};
	const firstFree = c.fields.findIndex(f => !f.fixed);
	return (
		<Dialog title={c.title} onClose={onClose} wide={c.fields.some(f => f.area)}>
			{c.fields.map((f, i) => (
				<Field key={f.name} label={f.name} hint={f.hint}>
					{f.area ? <textarea rows={6} value={values[i]} spellcheck={false} onInput={e => { const v = e.currentTarget.value; setValues(values.map((x, k) => (k === i ? v : x))); }} />
						: <Input mono auto={i === firstFree} disabled={f.fixed} value={values[i] ?? ''} onInput={v => setValues(values.map((x, k) => (k === i ? v : x)))} onEnter={send} />}
				</Field>))}
			{c.fields.some(f => f.area) && <p class="hint">\n, \x00 and the like stand for bytes; a backslash is \\</p>}
			{error !== '' && <p class="fault" role="alert">{error}</p>}
			<div class="dialog-acts"><Button onClick={onClose}>Cancel</Button><Button kind="main" busy={busy} onClick={send}>Save</Button></div>
		</Dialog>
	);
}

function useChange(after: () => void): [JSX.Element | null, (c: Change) => void] {
	const [c, set] = useState<Change | null>(null);
	return [c && <ChangeDialog c={c} onClose={() => { set(null); after(); }} />, set];
}

async function sure(what: string, detail: Bin): Promise<boolean> {
	return ask({ title: `Remove this ${what}?`, text: 'It is removed on all servers.', detail: escape(detail).slice(0, 500), yes: 'Remove', grave: true });
}

function Acts({ onEdit, onRemove, what }: { onEdit?: () => void; onRemove: () => void; what: string }): JSX.Element | null {
	return operator.value ? <>{onEdit && <Button icon="edit" label={`Edit ${what}`} kind="quiet" onClick={onEdit} />}<Button icon="trash" label={`Remove ${what}`} kind="quiet" onClick={onRemove} /></> : null;
}

interface Walked {
	rows: [Bin, Bin | null][];
	done: boolean;
	busy: boolean;
	error: string;
	more: () => void;
	reload: () => void;
}

// HSCAN, SSCAN, ZSCAN: a page at a time, what comes twice left out.
function useWalk(command: string, { db, name }: KeyProps, match: string, paired: boolean): Walked {
	const [s, set] = useState<{ rows: [Bin, Bin | null][]; done: boolean; busy: boolean; error: string }>({ rows: [], done: false, busy: true, error: '' });
	const at = useRef({ cursor: '0', turn: 0, count: PAGE * 2, seen: new Set<string>(), rows: [] as [Bin, Bin | null][] });
	const step = async (fresh: boolean, least = 0) => {
		const a = at.current;
		const mine = fresh ? ++a.turn : a.turn;
		if (fresh) {
			a.cursor = '0';
			a.seen = new Set();
			a.rows = [];
		}
		const enough = Math.max(a.rows.length + PAGE, least);
		let size = 0;
		for (let steps = 0; steps < 200 && size < PAGE_BYTES; steps++) {
			const [r, count] = await fewer(a.count, n => one([command, name, a.cursor, 'MATCH', patternOf(match), 'COUNT', n], { db }));
			a.count = count;
			if (mine !== a.turn) {
				return;
			}
			const [next, items] = listOf(r);
			const list = paired ? pairsOf(items) : listOf(items).map(x => [x, null] as const);
			for (const [k, v] of list) {
				const id = toLink(binOf(k));
				if (!a.seen.has(id)) {
					a.seen.add(id);
					a.rows.push([binOf(k), v === null ? null : binOf(v)]);
					size += byteLength(binOf(k)) + (v === null ? 0 : byteLength(binOf(v)));
				}
			}
			a.cursor = textOf(next);
			if (a.cursor === '0' || a.rows.length >= enough) {
				break;
			}
		}
		set({ rows: [...a.rows], done: a.cursor === '0', busy: false, error: '' });
	};
	const go = (fresh: boolean, least = 0) => {
		set(x => ({ ...x, busy: true }));
		step(fresh, least).catch(e => set(x => ({ ...x, busy: false, error: say(e) })));
	};
	useEffect(() => { go(true); return () => { at.current.turn++; }; }, [match]);
	// what was changed is looked at again where one was
	return { ...s, more: () => go(false), reload: () => go(true, at.current.rows.length) };
}

// Instead of no row: why there is none.
function noRow(w: Walked, match: string): string | undefined {
	return w.rows.length > 0 || w.error !== '' ? undefined : w.busy ? 'Looking…' : match === '' ? 'There is nothing in it.' : `Nothing matches ${patternOf(match)}${w.done ? '' : ' so far'}.`;
}

function Rows({ head, children, more, busy, none, tools, match, setMatch, error, count }: { head: string[]; children: ComponentChildren; more?: () => void; busy?: boolean; none?: string; tools?: ComponentChildren; match?: string; setMatch?: (v: string) => void; error: unknown; count: string }): JSX.Element {
	const [text, setText] = useState(match ?? '');
	return (
		<Panel title={<span class="dim">{count}</span>} tools={<>{setMatch && <Input label="Filter" placeholder="Filter" mono value={text} onInput={setText} onEnter={() => setMatch(text)} />}{tools}</>}>
			{error !== '' && error !== null && <Fault error={error} />}
			<div class="tbl-box"><table class="tbl"><thead><tr>{head.map(h => <th key={h} scope="col">{h === '' ? <span class="unseen">Actions</span> : h}</th>)}</tr></thead><tbody>{children}</tbody></table></div>
			{none !== undefined && <p class="empty" role="status">{none}</p>}
			{more && <div class="panel-body"><Button onClick={more} busy={busy === true}>More</Button></div>}
		</Panel>
	);
}

export function HashValue(p: KeyProps): JSX.Element {
	const { db, name } = p;
	const [match, setMatch] = useState('');
	const w = useWalk('HSCAN', p, match, true);
	const [lives, setLives] = useState<Map<string, number> | null>(null);
	const after = () => { w.reload(); p.changed(); };
	const [dialog, change] = useChange(after);
	// Fields have a time to live since Redis 7.4; where HTTL is not known there is no such column.
	useEffect(() => {
		const fields = w.rows.map(r => r[0]).slice(-1000);
		if (fields.length === 0) {
			return;
		}
		run([['HTTL', name, 'FIELDS', fields.length, ...fields]], { db }).then(([r]) => {
			setLives(errorOf(r) === null ? new Map(listOf(r).map((x, i) => [toLink(fields[i]!), numberOf(x) ?? -1])) : null);
		}, () => {});
	}, [w.rows]);
	const edit = (f: Bin, v: Bin | null) => change({
		title: v === null ? 'New field' : 'Change the field',
		fields: [{ name: 'Field', value: v === null ? '' : escape(f), fixed: v !== null }, { name: 'Value', value: v === null ? '' : escape(v), area: true }],
		save: async ([a, b]) => {
			const field = v === null ? unescape(a ?? '') : f;
			// HSET has a field live for ever: it gets back when it was to end.
			const at = lives ? numberOf(listOf(await one(['HPEXPIRETIME', name, 'FIELDS', 1, field], { db }))[0]) : null;
			const rs = await run([['HSET', name, field, unescape(b ?? '')], ...(at !== null && at > 0 ? [['HPEXPIREAT', name, at, 'FIELDS', 1, field]] : [])], { db });
			const e = rs.map(errorOf).find(x => x !== null);
			if (e) {
				throw new Error(e);
			}
		},
	});
	const expire = (f: Bin, now: number) => change({
		title: 'How long this field lives', fields: [{ name: 'Field', value: escape(f), fixed: true }, { name: 'Expires after', value: now >= 0 ? `${now}s` : '', hint: '90s, 15m, 2h, 7d; empty: for ever' }],
		save: async ([, t]) => {
			const s = (t ?? '').trim() === '' ? null : parseDuration(t ?? '');
			if (!s && (t ?? '').trim() !== '') {
				throw new Error(NO_TIME);
			}
			await one(s === null ? ['HPERSIST', name, 'FIELDS', 1, f] : ['HEXPIRE', name, s, 'FIELDS', 1, f], { db });
		},
	});
	const remove = async (f: Bin) => { if (await sure('field', f)) { await one(['HDEL', name, f], { db }); after(); } };
	return (
		<>
			<Rows head={['Field', 'Value', ...(lives ? ['Lives'] : []), '']} error={w.error} count={`${whole(w.rows.length)}${w.done ? '' : ' so far'}`} more={w.done ? undefined : w.more} busy={w.busy} none={noRow(w, match)} match={match} setMatch={setMatch} tools={operator.value && <Button icon="plus" onClick={() => edit('', null)}>Field</Button>}>
				{w.rows.map(([f, v]) => <tr key={toLink(f)}><td><Bytes bin={f} /></td><td class="grow"><Bytes bin={v ?? ''} /></td>
					{lives && <td class="nowrap">{operator.value ? <button type="button" class="lnk" onClick={() => expire(f, lives.get(toLink(f)) ?? -1)}>{ttl(lives.get(toLink(f)) ?? -1)}</button> : ttl(lives.get(toLink(f)) ?? -1)}</td>}
					<td class="acts"><Acts what="field" onEdit={() => edit(f, v)} onRemove={() => { remove(f).catch(complain); }} /></td></tr>)}
			</Rows>
			{dialog}
		</>
	);
}

export function SetValue(p: KeyProps): JSX.Element {
	const { db, name } = p;
	const [match, setMatch] = useState('');
	const w = useWalk('SSCAN', p, match, false);
	const after = () => { w.reload(); p.changed(); };
	const [dialog, change] = useChange(after);
	const remove = async (m: Bin) => { if (await sure('member', m)) { await one(['SREM', name, m], { db }); after(); } };
	return (
		<>
			<Rows head={['Member', '']} error={w.error} count={`${whole(w.rows.length)}${w.done ? '' : ' so far'}`} more={w.done ? undefined : w.more} busy={w.busy} none={noRow(w, match)} match={match} setMatch={setMatch}
				tools={operator.value && <Button icon="plus" onClick={() => change({ title: 'New member', fields: [{ name: 'Member', value: '', area: true }], save: async ([m]) => { if ((await one(['SADD', name, unescape(m ?? '')], { db })) !== 1) { throw new Error('It is a member already'); } } })}>Member</Button>}>
				{w.rows.map(([m]) => <tr key={toLink(m)}><td class="grow"><Bytes bin={m} /></td><td class="acts"><Acts what="member" onRemove={() => { remove(m).catch(complain); }} /></td></tr>)}
			</Rows>
			{dialog}
		</>
	);
}

function Pager({ from, total, step, onFrom }: { from: number; total: number; step: number; onFrom: (n: number) => void }): JSX.Element {
	const last = Math.max(0, Math.floor((total - 1) / step) * step);
	return (
		<div class="row panel-body">
			<Button disabled={from === 0} onClick={() => onFrom(0)}>First</Button><Button disabled={from === 0} onClick={() => onFrom(Math.max(0, from - step))}>Before</Button>
			<span class="tab">{whole(from + 1)} to {whole(Math.min(total, from + step))} of {whole(total)}</span>
			<Button disabled={from + step >= total} onClick={() => onFrom(from + step)}>Next</Button><Button disabled={from >= last} onClick={() => onFrom(last)}>Last</Button>
		</div>
	);
}

export function ListValue(p: KeyProps): JSX.Element {
	const { db, name } = p;
	const [from, setFrom] = useState(0);
	const [step, setStep] = useState(PAGE);
	const [index, setIndex] = useState('');
	// as LINDEX counts: -1 is the last one
	const jump = () => {
		const n = Number(index);
		if (Number.isInteger(n)) {
			const last = Math.max(0, (p.length ?? 0) - 1);
			setFrom(Math.floor(Math.min(last, Math.max(0, n < 0 ? last + 1 + n : n)) / step) * step);
		}
	};
	const page = useLoad(async () => {
		const [r, n] = await fewer(step, k => one(['LRANGE', name, from, from + k - 1], { db }));
		setStep(n);
		return listOf(r).map(binOf);
	}, [from]);
	const after = () => { page.reload(); p.changed(); };
	const [dialog, change] = useChange(after);
	const same = async (i: number, v: Bin) => {
		const there = await one(['LINDEX', name, i], { db });
		if (there === null || !sameBin(binOf(there), v)) {
			throw new Error('The list has moved meanwhile; load it again');
		}
	};
	const edit = (i: number, v: Bin) => change({ title: `Element ${whole(i)}`, fields: [{ name: 'Value', value: escape(v), area: true }], save: async ([x]) => { await same(i, v); await one(['LSET', name, i, unescape(x ?? '')], { db }); } });
	const push = (side: 'LPUSH' | 'RPUSH') => change({ title: side === 'LPUSH' ? 'New first element' : 'New last element', fields: [{ name: 'Value', value: '', area: true }], save: async ([x]) => { await one([side, name, unescape(x ?? '')], { db }); } });
	// There is no command to remove by index: the element gets a value that nobody else has, and that is removed.
	const remove = async (i: number, v: Bin) => {
		if (await sure('element', v)) {
			await same(i, v);
			const mark = `removed-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
			for (const r of await run([['LSET', name, i, mark], ['LREM', name, 1, mark]], { db })) {
				const e = errorOf(r);
				if (e !== null) {
					throw new Error(e);
				}
			}
			after();
		}
	};
	return (
		<>
			<Rows head={['Index', 'Element', '']} error={page.error} count="" tools={<>{(p.length ?? 0) > step && <><Input label="Index" placeholder="Index" type="number" mono value={index} onInput={setIndex} onEnter={jump} /><Button onClick={jump} disabled={!/^-?\d+$/.test(index)}>Go to</Button></>}{operator.value && <><Button icon="plus" onClick={() => push('LPUSH')}>First</Button><Button icon="plus" onClick={() => push('RPUSH')}>Last</Button></>}</>}>
				{(page.data ?? []).map((v, k) => <tr key={from + k}><td class="num dim">{from + k}</td><td class="grow"><Bytes bin={v} /></td><td class="acts"><Acts what="element" onEdit={() => edit(from + k, v)} onRemove={() => { remove(from + k, v).catch(complain); }} /></td></tr>)}
			</Rows>
			{(p.length ?? 0) > step && <Pager step={step} from={from} total={p.length ?? 0} onFrom={setFrom} />}
			{dialog}
		</>
	);
}

export function ZsetValue(p: KeyProps): JSX.Element {
	const { db, name } = p;
	const [from, setFrom] = useState(0);
	const [order, setOrder] = useState<'down' | 'up'>('down');
	const [match, setMatch] = useState('');
	const [step, setStep] = useState(PAGE);
	const page = useLoad(async () => {
		const [r, n] = await fewer(step, k => one([order === 'up' ? 'ZRANGE' : 'ZREVRANGE', name, from, from + k - 1, 'WITHSCORES'], { db }));
		setStep(n);
		return pairsOf(r).map(([m, s]) => [binOf(m), textOf(s)] as [Bin, string]);
	}, [from, order]);
	const w = useWalk('ZSCAN', p, match, true);
	const rows: [Bin, string][] = match === '' ? (page.data ?? []) : w.rows.map(([m, s]) => [m, textOf(s)]);
	const after = () => { page.reload(); w.reload(); p.changed(); };
	const [dialog, change] = useChange(after);
	const score = (text: string): Arg => {
		if (!/^[+-]?(inf(inity)?|\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+)$/i.test(text.trim())) {
			throw new Error('A score is a number, inf or -inf');
		}
		return text.trim();
	};
	const edit = (m: Bin | null, s: string) => change({
		title: m === null ? 'New member' : 'Change the score', fields: [{ name: 'Score', value: s }, { name: 'Member', value: m === null ? '' : escape(m), fixed: m !== null }],
		save: async ([a, b]) => { await one(['ZADD', name, score(a ?? ''), m ?? unescape(b ?? '')], { db }); },
	});
	const remove = async (m: Bin) => { if (await sure('member', m)) { await one(['ZREM', name, m], { db }); after(); } };
	return (
		<>
			<Rows head={['Score', 'Member', '']} error={page.error ?? w.error} count={match === '' ? '' : `${whole(w.rows.length)}${w.done ? '' : ' so far'}`} match={match} setMatch={setMatch} more={match !== '' && !w.done ? w.more : undefined} busy={w.busy} none={match === '' ? undefined : noRow(w, match)}
				tools={<><Choice<'down' | 'up'> label="Order" value={order} onChange={o => { setOrder(o); setFrom(0); }} options={[{ value: 'down', text: 'Highest' }, { value: 'up', text: 'Lowest' }]} />{operator.value && <Button icon="plus" onClick={() => edit(null, '0')}>Member</Button>}</>}>
				{rows.map(([m, s]) => <tr key={toLink(m)}><td class="num mono">{s}</td><td class="grow"><Bytes bin={m} /></td><td class="acts"><Acts what="member" onEdit={() => edit(m, s)} onRemove={() => { remove(m).catch(complain); }} /></td></tr>)}
			</Rows>
			{match === '' && (p.length ?? 0) > step && <Pager step={step} from={from} total={p.length ?? 0} onFrom={setFrom} />}
			{dialog}
		</>
	);
}

