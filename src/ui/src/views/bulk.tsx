// What is about many keys or a new one: create, delete by pattern (a dry run first), export and import.
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { type Arg, one, run } from '../api/client';
import { type Bin, escape, isBin, toBytes, unescape } from '../core/bin';
import { bytes, NO_TIME, parseDuration, percent, plural, whole } from '../core/format';
import { binOf, errorOf, listOf, numberOf, textOf } from '../core/reply';
import { Button, Dialog, Field, Input, Mark, Select, download } from '../parts/parts';
import { ask, go, note, say } from '../state';
import { type Place, placeLink } from './browser';
import { beginScan, COUNT, patternOf, scan } from './scan';

type NewType = 'string' | 'hash' | 'list' | 'set' | 'zset' | 'stream' | 'json';

export function CreateKey({ place, onClose }: { place: Place; onClose: () => void }): JSX.Element {
	const [type, setType] = useState<NewType>('string');
	const [name, setName] = useState('');
	const [field, setField] = useState('');
	const [value, setValue] = useState('');
	const [expires, setExpires] = useState('');
	const [error, setError] = useState('');
	const first: Record<NewType, string | null> = { string: null, hash: 'Field', list: null, set: null, zset: 'Score', stream: 'Field', json: null };
	const make = async () => {
		const key = unescape(name);
		const v = unescape(value);
		const f = unescape(field);
		const seconds = expires.trim() === '' ? null : parseDuration(expires);
		if (name === '') {
			throw new Error('A key needs a name');
		}
		if (expires.trim() !== '' && !seconds) {
			throw new Error(NO_TIME);
		}
		if (type === 'zset' && !Number.isFinite(Number(field || '0'))) {
			throw new Error('A score is a number');
		}
		if ((await one(['EXISTS', key], { db: place.db })) === 1) {
			throw new Error('There is a key of that name');
		}
		const make: Record<NewType, Arg[]> = {
			string: ['SET', key, value.includes('\\') ? v : value, 'NX'], hash: ['HSET', key, f, v], list: ['RPUSH', key, v], set: ['SADD', key, v], zset: ['ZADD', key, field || '0', v], stream: ['XADD', key, '*', f || 'field', v], json: ['JSON.SET', key, '.', value || '{}'],
		};
		await one(make[type], { db: place.db });
		if (seconds !== null) {
			await one(['EXPIRE', key, seconds], { db: place.db });
		}
		scan.store.value.add(key);
		scan.version.value++;
		onClose();
		go(placeLink(place, key));
	};
	return (
		<Dialog title="New key" onClose={onClose}>
			<div class="row"><Select<NewType> label="Type" value={type} onChange={setType} options={[['string', 'String'], ['hash', 'Hash'], ['list', 'List'], ['set', 'Set'], ['zset', 'Sorted set'], ['stream', 'Stream'], ['json', 'JSON']]} /><span class="hint">in database {place.db}</span></div>
			<Field label="Name" hint="\n, \x00 and the like stand for bytes"><Input mono auto value={name} onInput={setName} /></Field>
			{first[type] !== null && <Field label={first[type]!}><Input mono value={field} onInput={setField} /></Field>}
			<Field label={type === 'string' || type === 'json' ? 'Value' : type === 'list' ? 'First element' : type === 'hash' || type === 'stream' ? 'Value' : 'Member'}><textarea rows={4} value={value} onInput={e => setValue(e.currentTarget.value)} spellcheck={false} /></Field>
			<Field label="Expires after" hint="90s, 15m, 2h, 7d; empty: never"><Input value={expires} onInput={setExpires} /></Field>
			{error !== '' && <p class="fault" role="alert"><Mark grade="bad" /><span>{error}</span></p>}
			<div class="dialog-acts"><Button onClick={onClose}>Cancel</Button><Button kind="main" onClick={() => { make().catch(e => setError(say(e))); }}>Create</Button></div>
		</Dialog>
	);
}

// One walk over all keys that match, in steps; f gets each step's keys.
async function walk(place: Place, alive: () => boolean, f: (keys: Bin[], looked: number) => Promise<void>): Promise<void> {
	let cursor = '0';
	let looked = 0;
	do {
		const r = await one(['SCAN', cursor, 'MATCH', patternOf(place.match), 'COUNT', COUNT, ...(place.type === '' ? [] : ['TYPE', place.type])], { db: place.db });
		const [next, keys] = listOf(r);
		cursor = textOf(next);
		looked += COUNT;
		await f(listOf(keys).map(binOf), looked);
	} while (cursor !== '0' && alive());
}

export function BulkDelete({ place, onClose }: { place: Place; onClose: () => void }): JSX.Element {
	const [match, setMatch] = useState(place.match);
	const [stage, setStage] = useState<'ask' | 'counting' | 'counted' | 'deleting' | 'done'>('ask');
	const [count, setCount] = useState(0);
	const [deleted, setDeleted] = useState(0);
	const [looked, setLooked] = useState(0);
	const [some, setSome] = useState<string[]>([]);
	const [size, setSize] = useState<number | null>(null);
	const [error, setError] = useState('');
	const alive = useRef(true);
	const total = scan.total.value ?? 0;
	const here = { ...place, match };
	const pattern = patternOf(match);
	const close = () => { alive.current = false; onClose(); };
	const count_ = async () => {
		alive.current = true;
		setStage('counting');
		setError('');
		let n = 0;
		const examples: Bin[] = [];
		await walk(here, () => alive.current, async (keys, l) => {
			n += keys.length;
			for (const k of keys) {
				if (examples.length < 100) {
					examples.push(k);
				}
			}
			setCount(n);
			setLooked(l);
			setSome(examples.slice(0, 12).map(escape));
		});
		const rs = examples.length === 0 ? [] : await run(examples.map(k => ['MEMORY', 'USAGE', k]), { db: place.db });
		const known = rs.map(numberOf).filter((x): x is number => x !== null);
		setSize(known.length === 0 ? null : (known.reduce((a, b) => a + b, 0) / known.length) * n);
		setStage(alive.current ? 'counted' : 'ask');
	};
	const delete_ = async () => {
		const ok = await ask({ title: `Delete ${plural(count, 'key')}?`, text: `Every key that matches ${pattern}${place.type === '' ? '' : ` and is a ${place.type}`} in database ${place.db} is unlinked, on all servers. This cannot be undone.`, yes: 'Delete', grave: true, typed: String(count) });
		if (!ok) {
			return;
		}
		alive.current = true;
		setStage('deleting');
		let n = 0;
		await walk(here, () => alive.current, async (keys, l) => {
			for (let i = 0; i < keys.length; i += 500) {
				n += numberOf(await one(['UNLINK', ...keys.slice(i, i + 500)], { db: place.db })) ?? 0;
			}
			setDeleted(n);
			setLooked(l);
		});
		setStage('done');
		note(`${plural(n, 'key')} deleted`);
		beginScan({ db: place.db, match: place.match, type: place.type });
	};
	const guard = (f: () => Promise<void>) => { f().catch(e => { setError(say(e)); setStage('ask'); }); };
	return (
		<Dialog title="Delete by pattern" onClose={close}>
			<Field label="Pattern or part of a name" hint={`SCAN looks for ${pattern}${place.type === '' ? '' : `, type ${place.type}`}, database ${place.db}`}><Input mono auto value={match} onInput={v => { setMatch(v); setStage('ask'); }} disabled={stage === 'counting' || stage === 'deleting'} /></Field>
			{stage === 'ask' && <p class="soft">First a dry run counts what matches. Nothing is deleted by it.</p>}
			{(stage === 'counting' || stage === 'deleting') && <p role="status">{stage === 'counting' ? `${whole(count)} found` : `${whole(deleted)} of ${whole(count)} deleted`}, {percent(Math.min(looked, total), total)} looked at…</p>}
			{stage === 'counted' && <><p role="status"><b>{plural(count, 'key')}</b> would be deleted{size === null ? '' : `, some ${bytes(size)}`}.</p>{some.length > 0 && <pre class="plain">{some.join('\n')}{count > some.length ? `\n… and ${whole(count - some.length)} more` : ''}</pre>}</>}
			{stage === 'done' && <p role="status">{plural(deleted, 'key')} deleted.</p>}
			{error !== '' && <p class="fault" role="alert"><Mark grade="bad" /><span>{error}</span></p>}
			<div class="dialog-acts">
				<Button onClick={stage === 'counting' || stage === 'deleting' ? () => { alive.current = false; } : close}>{stage === 'counting' || stage === 'deleting' ? 'Stop' : 'Close'}</Button>
				{(stage === 'ask' || stage === 'counting') && <Button kind="main" busy={stage === 'counting'} onClick={() => guard(count_)}>Dry run</Button>}
				{(stage === 'counted' || stage === 'deleting') && <Button kind="grave" disabled={count === 0} busy={stage === 'deleting'} onClick={() => guard(delete_)}>Delete {whole(count)}…</Button>}
			</div>
		</Dialog>
	);
}

const MOST_KEYS = 100_000;
const MOST_BYTES = 256 * 1024 * 1024;

interface Dumped {
	key: Bin;
	type: string;
	ttl_ms: number;
	dump: { base64: string } | string;
}

// A file of lines, each a key with its DUMP: exact for every type, of modules too, and taken back by RESTORE.
export function Transfer({ place, onClose }: { place: Place; onClose: () => void }): JSX.Element {
	const [busy, setBusy] = useState('');
	const [error, setError] = useState('');
	const [replace, setReplace] = useState(false);
	const [result, setResult] = useState('');
	const alive = useRef(true);
	const guard = (f: () => Promise<void>) => { setError(''); setResult(''); f().catch(e => setError(say(e))).finally(() => setBusy('')); };
	const give = async () => {
		const parts: string[] = [];
		let n = 0;
		let size = 0;
		let cut = false;
		await walk(place, () => alive.current && !cut, async keys => {
			for (let i = 0; i < keys.length && !cut; i += 100) {
				const some = keys.slice(i, i + 100);
				const rs = await run(some.flatMap(k => [['TYPE', k], ['PTTL', k], ['DUMP', k]]), { db: place.db });
				some.forEach((key, k) => {
					const dump = rs[3 * k + 2];
					if (isBin(dump)) {
						const line = `${JSON.stringify({ key, type: textOf(rs[3 * k]), ttl_ms: numberOf(rs[3 * k + 1]) ?? -1, dump })}\n`;
						parts.push(line);
						n++;
						size += line.length;
					}
				});
				cut = n >= MOST_KEYS || size >= MOST_BYTES;
				setBusy(`${plural(n, 'key')}, ${bytes(size)}`);
			}
		});
		download(`keys-db${place.db}.jsonl`, parts, 'application/x-ndjson');
		setResult(`${plural(n, 'key')} exported, ${bytes(size)}${cut ? '; the file is full, narrow the pattern for the rest' : ''}.`);
	};
	const take = async (file: File) => {
		if (file.size > MOST_BYTES) {
			throw new Error(`A file may have ${bytes(MOST_BYTES)}`);
		}
		const lines = (await file.text()).split('\n').filter(l => l.trim() !== '');
		const list: Dumped[] = lines.map((l, i) => {
			let d: Dumped | null = null;
			try {
				d = JSON.parse(l) as Dumped;
			} catch {
				// said below
			}
			if (!d || !isBin(d.key) || !isBin(d.dump)) {
				throw new Error(`Line ${i + 1} is not a key that this page has exported`);
			}
			return d;
		});
		if (!(await ask({ title: `Import ${plural(list.length, 'key')}?`, text: `Into database ${place.db}. ${replace ? 'Keys of the same name are overwritten.' : 'Keys of the same name stay as they are.'}`, yes: 'Import', grave: replace }))) {
			return;
		}
		let good = 0;
		const bad = new Map<string, number>();
		for (let i = 0; i < list.length && alive.current; i += 100) {
			const rs = await run(list.slice(i, i + 100).map(d => ['RESTORE', d.key, Math.max(0, Number(d.ttl_ms) || 0), d.dump, ...(replace ? ['REPLACE'] : [])]), { db: place.db });
			for (const r of rs) {
				const e = errorOf(r);
				if (e === null) {
					good++;
				} else {
					bad.set(e, (bad.get(e) ?? 0) + 1);
				}
			}
			setBusy(`${whole(i)} of ${whole(list.length)}`);
		}
		setResult(`${plural(good, 'key')} imported.${[...bad].map(([e, n]) => ` ${whole(n)}: ${e}.`).join('')}`);
		beginScan({ db: place.db, match: place.match, type: place.type });
	};
	const some = toBytes(patternOf(place.match)).length > 0 ? patternOf(place.match) : '*';
	return (
		<Dialog title="Export and import" onClose={() => { alive.current = false; onClose(); }}>
			<div class="stack">
				<h3>Export</h3>
				<p class="soft">Every key that matches <code>{some}</code>{place.type === '' ? '' : `, type ${place.type}`} in database {place.db}: a line of JSON each, with its exact value (DUMP) and time to live. At most {whole(MOST_KEYS)} keys.</p>
				<div><Button icon="save" busy={busy !== ''} onClick={() => guard(give)}>Export</Button></div>
				<h3>Import</h3>
				<label class="check"><input type="checkbox" checked={replace} onChange={e => setReplace(e.currentTarget.checked)} />Overwrite keys that are there</label>
				<label class="field"><span class="field-name">A file that was exported here</span><input type="file" accept=".jsonl,application/x-ndjson" disabled={busy !== ''} onChange={e => { const f = e.currentTarget.files?.[0]; e.currentTarget.value = ''; if (f) { guard(() => take(f)); } }} /></label>
				{busy !== '' && <p role="status">{busy}…</p>}
				{result !== '' && <p role="status" class="state"><Mark grade="good" />{result}</p>}
				{error !== '' && <p class="fault" role="alert"><Mark grade="bad" /><span>{error}</span></p>}
			</div>
		</Dialog>
	);
}
