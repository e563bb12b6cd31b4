// One key: what it is, how long it lives, how big it is; its value below, by type.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { one, run } from '../api/client';
import { type Bin, escape, unescape } from '../core/bin';
import { bytes, NO_TIME, parseDuration, ttl, whole } from '../core/format';
import { errorOf, numberOf, textOf } from '../core/reply';
import { Button, copy, Dialog, Fault, Field, Input, useEvery, useLoad } from '../parts/parts';
import { ask, complain, go, note, operator, say } from '../state';
import { type Place, placeLink, TypeTag } from './browser';
import { scan } from './scan';
import { HashValue, ListValue, SetValue, ZsetValue } from './values';
import { StreamValue } from './stream';
import { StringValue } from './string';
import { GraphValue, IndexValue, JsonValue, OtherValue, SeriesValue } from './module';

export interface KeyProps {
	db: number;
	name: Bin;
	length: number | null;
	changed: () => void; // the header is to look again
}

const LENGTH: Record<string, string> = { string: 'STRLEN', hash: 'HLEN', list: 'LLEN', set: 'SCARD', zset: 'ZCARD', stream: 'XLEN' };
const UNIT: Record<string, string> = { string: 'bytes', hash: 'fields', list: 'elements', set: 'members', zset: 'members', stream: 'entries' };

interface Head {
	type: string;
	ttl: number;
	encoding: string;
	memory: number | null;
	idle: number | null;
	length: number | null;
}

async function head(db: number, name: Bin): Promise<Head | null> {
	const [t, l, e, m, i] = await run([['TYPE', name], ['TTL', name], ['OBJECT', 'ENCODING', name], ['MEMORY', 'USAGE', name, 'SAMPLES', 5], ['OBJECT', 'IDLETIME', name]], { db });
	const type = textOf(t);
	if (errorOf(t) !== null) {
		throw new Error(type);
	}
	if (type === 'none') {
		return null;
	}
	const [n] = LENGTH[type] ? await run([[LENGTH[type]!, name]], { db }) : [null];
	return { type, ttl: numberOf(l) ?? -1, encoding: errorOf(e) === null ? textOf(e) : '', memory: numberOf(m), idle: errorOf(i) === null ? numberOf(i) : null, length: numberOf(n) };
}

export function KeyView({ place, name }: { place: Place; name: Bin }): JSX.Element {
	const h = useLoad(() => head(place.db, name), [place.db, name]);
	const [dialog, setDialog] = useState<'rename' | 'expire' | null>(null);
	const [turn, setTurn] = useState(0);
	useEvery(h.reload, 5000);
	const d = h.data;
	const all = () => { h.reload(); setTurn(t => t + 1); };
	const remove = async () => {
		if (await ask({ title: 'Delete this key?', text: 'It is unlinked on all servers. This cannot be undone.', detail: escape(name).slice(0, 500), yes: 'Delete', grave: true })) {
			await one(['UNLINK', name], { db: place.db });
			note('Key deleted');
			go(placeLink(place, null));
		}
	};
	return (
		<>
			<header class="key-head">
				<div class="key-title">
					<span class="only-phone"><Button icon="back" label="Back to the keys" kind="quiet" onClick={() => go(placeLink(place, null))} /></span>
					<h2>{escape(name) || '(empty name)'}</h2>
					<Button icon="copy" label="Copy the name" kind="quiet" onClick={() => { copy(escape(name)).then(ok => note(ok ? 'Name copied' : 'It cannot be copied here', ok ? 'good' : 'bad')); }} />
					<Button icon="refresh" label="Load again" kind="quiet" onClick={all} />
					{operator.value && d && <><Button icon="edit" label="Rename" kind="quiet" onClick={() => setDialog('rename')} /><Button icon="trash" label="Delete this key" kind="quiet" onClick={() => { remove().catch(complain); }} /></>}
				</div>
				{d && <div class="key-facts">
					<TypeTag type={d.type} />
					{d.length !== null && <span>{d.type === 'string' ? bytes(d.length) : `${whole(d.length)} ${UNIT[d.type] ?? ''}`}</span>}
					<span>Lives {operator.value ? <button type="button" class="lnk" onClick={() => setDialog('expire')}>{d.ttl === -1 ? 'for ever' : ttl(d.ttl)}</button> : d.ttl === -1 ? 'for ever' : ttl(d.ttl)}</span>
					{d.memory !== null && <span>{bytes(d.memory)} of memory</span>}
					{d.encoding !== '' && <span>{d.encoding}</span>}
					{d.idle !== null && <span>idle {ttl(d.idle)}</span>}
					<span class="dim">db {place.db}</span>
				</div>}
			</header>
			<div class="value">
				{h.error !== null && <Fault error={h.error} again={h.reload} />}
				{d === null && <p class="empty">There is no such key (any more). <a href={placeLink(place, null)}>Back to the keys</a></p>}
				{d && <Value key={`${d.type}${turn}`} type={d.type} p={{ db: place.db, name, length: d.length, changed: h.reload }} />}
			</div>
			{dialog === 'rename' && <Rename place={place} name={name} onClose={() => setDialog(null)} />}
			{dialog === 'expire' && d && <Expire place={place} name={name} now={d.ttl} onClose={() => { setDialog(null); h.reload(); }} />}
		</>
	);
}

function Value({ type, p }: { type: string; p: KeyProps }): JSX.Element {
	switch (type) {
		case 'string': return <StringValue {...p} />;
		case 'hash': return <HashValue {...p} />;
		case 'list': return <ListValue {...p} />;
		case 'set': return <SetValue {...p} />;
		case 'zset': return <ZsetValue {...p} />;
		case 'stream': return <StreamValue {...p} />;
		case 'ReJSON-RL': return <JsonValue {...p} />;
		case 'TSDB-TYPE': return <SeriesValue {...p} />;
		case 'graphdata': return <GraphValue {...p} />;
		case 'ft_index0': return <IndexValue {...p} />;
		default: return <OtherValue {...p} type={type} />;
	}
}

function Rename({ place, name, onClose }: { place: Place; name: Bin; onClose: () => void }): JSX.Element {
	const [text, setText] = useState(escape(name));
	const [error, setError] = useState('');
	const go_ = async () => {
		const to = unescape(text);
		if ((await one(['RENAMENX', name, to], { db: place.db })) !== 1) {
			throw new Error('There is a key of that name; delete it first');
		}
		scan.store.value.add(to);
		scan.version.value++;
		onClose();
		note('Renamed');
		go(placeLink(place, to), true);
	};
	const send = () => { go_().catch(e => setError(say(e))); };
	return (
		<Dialog title="Rename" onClose={onClose}>
			<Field label="New name" hint="\n, \x00 and the like stand for bytes; a backslash is \\"><Input mono auto value={text} onInput={setText} onEnter={send} /></Field>
			{error !== '' && <p class="fault" role="alert">{error}</p>}
			<div class="dialog-acts"><Button onClick={onClose}>Cancel</Button><Button kind="main" onClick={send}>Rename</Button></div>
		</Dialog>
	);
}

function Expire({ place, name, now, onClose }: { place: Place; name: Bin; now: number; onClose: () => void }): JSX.Element {
	const [text, setText] = useState(now < 0 ? '' : `${now}s`);
	const [error, setError] = useState('');
	const set = (seconds: number | null) => { one(seconds === null ? ['PERSIST', name] : ['EXPIRE', name, seconds], { db: place.db }).then(onClose, e => setError(say(e))); };
	const send = () => {
		const s = parseDuration(text);
		if (!s) {
			setError(NO_TIME);
		} else {
			set(s);
		}
	};
	return (
		<Dialog title="How long it lives" onClose={onClose}>
			<Field label="Expires after" hint="90s, 15m, 2h, 7d"><Input auto value={text} onInput={setText} onEnter={send} /></Field>
			{error !== '' && <p class="fault" role="alert">{error}</p>}
			<div class="dialog-acts">{now >= 0 && <Button onClick={() => set(null)}>Keep for ever</Button>}<span class="push" /><Button onClick={onClose}>Cancel</Button><Button kind="main" onClick={send}>Set</Button></div>
		</Dialog>
	);
}
