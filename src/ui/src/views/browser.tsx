// All data: a list or tree of keys at the left, the chosen key at the right. The address says which.
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { run } from '../api/client';
import { type Bin, escape, fromLink, toLink } from '../core/bin';
import { percent, short, ttl, whole } from '../core/format';
import { numberOf, textOf } from '../core/reply';
import { KeyTree, type TreeRow } from '../core/tree';
import { Button, Choice, Icon, Input, Select } from '../parts/parts';
import { VList } from '../parts/vlist';
import { go, linkTo, operator, route } from '../state';
import { BulkDelete, CreateKey, Transfer } from './bulk';
import { KeyView } from './key';
import { beginScan, goOn, patternOf, scan, stopScan } from './scan';

const TYPES: [string, string][] = [['', 'All types'], ['string', 'String'], ['hash', 'Hash'], ['list', 'List'], ['set', 'Set'], ['zset', 'Sorted set'], ['stream', 'Stream'], ['ReJSON-RL', 'JSON'], ['TSDB-TYPE', 'Time series'], ['MBbloom--', 'Bloom'], ['graphdata', 'Graph'], ['vectorset', 'Vector set']];
const SHORT: Record<string, string> = { 'ReJSON-RL': 'json', 'TSDB-TYPE': 'ts', 'MBbloom--': 'bloom', graphdata: 'graph', vectorset: 'vset' };

export function TypeTag({ type }: { type: string }): JSX.Element {
	return <span class={`ty ty-${/^[a-z]+$/.test(type) ? type : 'other'}`}>{SHORT[type] ?? type}</span>;
}

export interface Place {
	db: number;
	match: string;
	type: string;
	tree: boolean;
	delimiter: string;
}

export function placeOf(): { place: Place; key: Bin | null } {
	const r = route.value;
	const db = Number(r.path[0] ?? '0');
	return {
		place: { db: Number.isInteger(db) && db >= 0 ? db : 0, match: r.query.match ?? '', type: r.query.type ?? '', tree: r.query.view !== 'list', delimiter: r.query.by ?? ':' },
		key: r.path[1] === 'k' ? fromLink(r.path[2] ?? '') : null,
	};
}

export function placeLink(p: Place, key: Bin | null): string {
	return linkTo('browser', key === null ? (p.db === 0 ? [] : [String(p.db)]) : [String(p.db), 'k', toLink(key)], { match: p.match, type: p.type, view: p.tree ? '' : 'list', by: p.delimiter === ':' ? '' : p.delimiter });
}

// Databases to choose from, with how many keys are in each.
export function useDatabases(current: number, target?: string): [string, string][] {
	const [keys, setKeys] = useState(new Map<number, number>());
	useEffect(() => {
		run([['INFO', 'keyspace']], { target }).then(([r]) => setKeys(new Map([...textOf(r).matchAll(/^db(\d+):keys=(\d+)/gm)].map(m => [Number(m[1]), Number(m[2])]))), () => {});
	}, [target, current]);
	const all = new Set([...Array.from({ length: 16 }, (_, i) => i), ...keys.keys(), current]);
	return [...all].sort((a, b) => a - b).map(d => [String(d), keys.has(d) ? `db ${d} (${short(keys.get(d))})` : `db ${d}`]);
}

interface Meta {
	type: string;
	ttl: number | null;
}

export function Browser(): JSX.Element {
	const { place, key } = placeOf();
	const [dialog, setDialog] = useState<'create' | 'delete' | 'transfer' | null>(null);
	useEffect(() => {
		const w = scan.wanted.peek();
		if (!w || w.db !== place.db || w.match !== place.match || w.type !== place.type) {
			beginScan({ db: place.db, match: place.match, type: place.type });
		}
	}, [place.db, place.match, place.type]);
	useEffect(() => stopScan, []);
	return (
		<div class={`browser${key === null ? '' : ' has-key'}`}>
			<KeyList place={place} chosen={key} onDialog={setDialog} />
			<section class="detail" aria-label="Value" tabIndex={-1}>
				{key === null ? <Welcome /> : <KeyView key={`${place.db}/${toLink(key)}`} place={place} name={key} />}
			</section>
			{dialog === 'create' && <CreateKey place={place} onClose={() => setDialog(null)} />}
			{dialog === 'delete' && <BulkDelete place={place} onClose={() => setDialog(null)} />}
			{dialog === 'transfer' && <Transfer place={place} onClose={() => setDialog(null)} />}
		</div>
	);
}

function Welcome(): JSX.Element {
	return (
		<div class="welcome">
			<h2>Choose a key</h2>
			<p>Keys come by SCAN, a thousand looked at in each step, so that the server is never held up. Text without <kbd>*</kbd> is looked for anywhere in a name; a pattern is taken as it is.</p>
			<p><kbd>/</kbd> to search · <kbd>↑</kbd> <kbd>↓</kbd> to move · <kbd>→</kbd> <kbd>←</kbd> to open and close folders · <kbd>Enter</kbd> to see a key</p>
		</div>
	);
}

function KeyList({ place, chosen, onDialog }: { place: Place; chosen: Bin | null; onDialog: (d: 'create' | 'delete' | 'transfer') => void }): JSX.Element {
	const store = scan.store.value;
	const version = scan.version.value;
	const [text, setText] = useState(place.match);
	const [by, setBy] = useState(place.delimiter);
	const [current, setCurrent] = useState(-1);
	const [metas, setMetas] = useState(new Map<number, Meta>());
	const [, redraw] = useState(0);
	const seen = useRef<{ first: number; count: number }>({ first: 0, count: 0 });
	const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
	const dbs = useDatabases(place.db);
	useEffect(() => setText(place.match), [place.match]);
	useEffect(() => { setMetas(new Map()); setCurrent(-1); }, [store]);
	const tree = useMemo(() => (place.tree ? new KeyTree(store, place.delimiter) : null), [store, place.tree, place.delimiter]);
	useMemo(() => tree?.update(), [tree, version]);
	const rows = tree ? tree.rows : store.count;
	const row = (i: number): TreeRow | null => (tree ? tree.row(i) : i < store.count ? { kind: 'key', index: i, label: escape(store.key(i)), depth: 0 } : null);

	// Type and time to live of what is in view, and of nothing else.
	const fetchMeta = () => {
		clearTimeout(timer.current);
		timer.current = setTimeout(() => {
			const want: number[] = [];
			for (let i = seen.current.first; i < seen.current.first + seen.current.count; i++) {
				const r = row(i);
				if (r?.kind === 'key' && !metas.has(r.index)) {
					want.push(r.index);
				}
			}
			if (want.length === 0) {
				return;
			}
			const asked = store;
			run(want.flatMap(k => [['TYPE', store.key(k)], ['TTL', store.key(k)]]), { db: place.db }).then(rs => {
				if (asked !== scan.store.peek()) {
					return;
				}
				setMetas(old => {
					const m = old.size > 20000 ? new Map<number, Meta>() : new Map(old);
					want.forEach((k, i) => { m.set(k, { type: textOf(rs[2 * i]), ttl: numberOf(rs[2 * i + 1]) }); });
					return m;
				});
			}, () => {});
		}, 80);
	};
	useEffect(fetchMeta, [version, rows, tree]);
	const change = (p: Partial<Place>) => go(placeLink({ ...place, ...p }, chosen));
	const search = () => { if (text === place.match) { beginScan({ db: place.db, match: text, type: place.type }); } else { change({ match: text }); } };
	const open = (i: number) => {
		const r = row(i);
		if (r?.kind === 'folder') {
			tree?.toggle(r.id);
			redraw(x => x + 1);
		} else if (r) {
			go(placeLink(place, store.key(r.index)));
		}
	};
	const fold = (i: number, want: boolean) => {
		const r = row(i);
		if (r?.kind === 'folder' && r.open !== want) {
			open(i);
		}
	};
	const chosenIndex = chosen === null ? -1 : store.find(chosen);
	const total = scan.total.value;
	const looked = Math.min(scan.looked.value, total ?? scan.looked.value);
	return (
		<div class="keys">
			<div class="keys-tools">
				<div class="searchbox" data-search>
					<Input label="Pattern or part of a name" placeholder="Part of a name, or a pattern: user:*" mono value={text} onInput={setText} onEnter={search} />
					<Button icon="search" label="Search" onClick={search} />
					{operator.value && <Button icon="plus" label="New key" onClick={() => onDialog('create')} />}
				</div>
				<div class="row">
					<Select label="Type" value={place.type} options={TYPES} onChange={v => change({ type: v })} />
					<Select label="Database" value={String(place.db)} options={dbs} onChange={v => go(placeLink({ ...place, db: Number(v) }, null))} />
					<Choice<'tree' | 'list'> label="Shown as" value={place.tree ? 'tree' : 'list'} onChange={v => change({ tree: v === 'tree' })} options={[{ value: 'tree', text: <Icon name="tree" />, title: 'Tree' }, { value: 'list', text: <Icon name="list" />, title: 'List' }]} />
					{place.tree && <span class="delim"><input class="input mono" aria-label="Delimiter" title="Delimiter" size={2} value={by} onInput={e => setBy(e.currentTarget.value)} onChange={() => change({ delimiter: by === '' ? ':' : by })} /></span>}
				</div>
			</div>
			<div class="progress" role="progressbar" aria-label="Keys looked at" aria-valuemin={0} aria-valuemax={total ?? 0} aria-valuenow={looked}><i style={{ transform: `scaleX(${scan.done.value || !total ? (scan.running.value ? 0.02 : 0) : looked / total})` }} /></div>
			{scan.error.value !== null && <p class="fault" role="alert"><span>{scan.error.value}</span><Button kind="quiet" onClick={() => goOn(false)}>Go on</Button></p>}
			{rows === 0 && !scan.running.value && scan.error.value === null
				? <p class="empty grow" style={{ flex: '1' }}>{scan.done.value ? (place.match === '' && place.type === '' ? `Database ${place.db} is empty.` : `No key matches ${patternOf(place.match)}${place.type === '' ? '' : ` and is a ${place.type}`}.`) : 'Nothing found so far; go on below.'}</p>
				: <VList role={tree ? 'tree' : 'listbox'} label="Keys" rows={rows} row={26} current={current} onCurrent={setCurrent} onOpen={open} onFold={tree ? fold : undefined} resetKey={`${place.tree}${place.delimiter}${store === scan.store.value ? scan.wanted.value?.match : ''}`}
					onWindow={(first, count) => { seen.current = { first, count }; fetchMeta(); }}
					render={i => {
						const r = row(i);
						if (!r) {
							return null;
						}
						const pad = <span style={{ width: `${r.depth * 16}px`, flex: 'none' }} />;
						if (r.kind === 'folder') {
							return <>{pad}<Icon name={r.open ? 'down' : 'right'} /><span class="k" title={r.label}><b>{r.label}</b></span><span class="meta">{whole(r.count)}</span></>;
						}
						const m = metas.get(r.index);
						return <>{pad}<TypeTag type={m?.type ?? ''} /><span class={`k${r.index === chosenIndex ? ' chosen' : ''}`} title={r.label}>{r.label === '' ? <i class="dim">(empty)</i> : r.label}</span>{m && m.ttl !== null && m.ttl >= 0 && <span class="meta">{ttl(m.ttl)}</span>}</>;
					}} />}
			<div class="keys-foot" role="status">
				<span>{whole(store.count)} found{total === null ? '' : scan.done.value ? ` of ${whole(Math.max(total, store.count))}` : ` · ${percent(looked, total)} of ${short(total)}`}{store.full ? '; the list is full, narrow the pattern' : ''}</span>
				<span class="push" />
				{scan.running.value ? <Button icon="stop" onClick={stopScan}>Stop</Button> : !scan.done.value && !store.full && scan.wanted.value ? <><Button onClick={() => goOn(false)}>More</Button><Button onClick={() => goOn(true)}>All</Button></> : <Button icon="refresh" label="Scan again" kind="quiet" onClick={() => beginScan({ db: place.db, match: place.match, type: place.type })} />}
				<Button icon="save" label="Export and import" kind="quiet" onClick={() => onDialog('transfer')} />
				{operator.value && <Button icon="trash" label="Delete by pattern" kind="quiet" onClick={() => onDialog('delete')} />}
			</div>
		</div>
	);
}

