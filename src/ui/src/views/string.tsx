// A string as text, JSON, hex, MessagePack or picture. What is saved is exactly the bytes that are shown.
import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { one } from '../api/client';
import { type Bin, byteLength, escape, fromBytes, fromHex, hexLines, imageType, sameBin, toBytes, toHex, unescape } from '../core/bin';
import { bytes } from '../core/format';
import { compact, layOut, pretty, tokens } from '../core/json';
import { packedText, unpack } from '../core/msgpack';
import { binOf } from '../core/reply';
import { Button, Choice, copy, download, Fault, useLoad } from '../parts/parts';
import { ask, note, operator, say } from '../state';
import type { KeyProps } from './key';

type View = 'text' | 'escaped' | 'json' | 'hex' | 'msgpack' | 'image';

const FIRST = 256 * 1024; // loaded at first
const MOST = 16 * 1024 * 1024; // loaded on demand

// Text that a text box gives back unchanged: it turns \r\n into \n, and shows no control characters.
function plain(b: Bin): b is string {
	return typeof b === 'string' && !/[\u0000-\u0008\u000b-\u001f\u007f]/.test(b);
}

export function viewsOf(value: Bin, raw: Uint8Array, whole: boolean): View[] {
	const out: View[] = [];
	if (whole && typeof value === 'string' && /^\s*[[{"]/.test(value) && tokens(value) !== null) {
		out.push('json');
	}
	if (whole && imageType(raw) !== null) {
		out.push('image');
	}
	if (whole && typeof value !== 'string' && unpack(raw) !== null) {
		out.push('msgpack');
	}
	if (plain(value)) {
		out.push('text');
	}
	out.push('escaped', 'hex');
	if (whole && typeof value === 'string' && raw.length > 0 && unpack(raw) !== null) {
		out.push('msgpack');
	}
	return out;
}

const NAME: Record<View, string> = { text: 'Text', escaped: 'Escaped', json: 'JSON', hex: 'Hex', msgpack: 'MessagePack', image: 'Picture' };

export function StringValue({ db, name, length, changed }: KeyProps): JSX.Element {
	const [all, setAll] = useState(false);
	const size = length ?? 0;
	const cut = !all && size > FIRST;
	const v = useLoad(async () => binOf(await one(cut ? ['GETRANGE', name, 0, FIRST - 1] : ['GET', name], { db })), [db, name, cut]);
	if (v.error !== null) {
		return <Fault error={v.error} again={v.reload} />;
	}
	if (v.data === undefined) {
		return <p class="empty">…</p>;
	}
	const was = v.data;
	const save = async (next: Bin) => {
		const there = binOf(await one(['GET', name], { db }));
		if (!sameBin(there, was) && !(await overwrite())) {
			return false;
		}
		await one(['SET', name, next, 'KEEPTTL'], { db });
		note(`Saved, ${bytes(byteLength(next))}`);
		await v.reload(); // else the next edit would begin with what was there before
		changed();
		return true;
	};
	return (
		<>
			{cut && <div class="row"><span class="soft">The first {bytes(FIRST)} of {bytes(size)}.</span>{size <= MOST ? <Button onClick={() => setAll(true)}>Load all</Button> : <span class="hint">More than {bytes(MOST)} is not loaded here; GETRANGE in the console reads any part.</span>}</div>}
			<Editor value={was} editable={!cut && operator.value} onSave={save} whole={!cut} file={escape(name).replace(/[^\w.-]+/g, '_').slice(0, 60) || 'value'} />
		</>
	);
}

export function overwrite(): Promise<boolean> {
	return ask({ title: 'It has changed meanwhile', text: 'Somebody has written another value since you loaded it. Overwrite that?', yes: 'Overwrite', grave: true });
}

// onSave says whether it is saved; if not, what was typed stays.
export function Editor({ value, editable, onSave, whole, file }: { value: Bin; editable: boolean; onSave: (v: Bin) => Promise<boolean>; whole: boolean; file: string }): JSX.Element {
	const raw = useMemo(() => toBytes(value), [value]);
	const views = useMemo(() => viewsOf(value, raw, whole), [raw, whole]);
	const [picked, setPicked] = useState<View | null>(null);
	const view = picked !== null && views.includes(picked) ? picked : views[0]!;
	const [edit, setEdit] = useState<string | null>(null);
	const [error, setError] = useState('');
	const [busy, setBusy] = useState(false);
	useEffect(() => { setEdit(null); setError(''); }, [value, view]);
	const begin = () => setEdit(view === 'json' ? (pretty(value as string) ?? '') : view === 'hex' ? toHex(raw) : view === 'text' ? (value as string) : escape(value));
	const next = (): Bin => {
		const text = edit ?? '';
		if (view === 'hex') {
			const b = fromHex(text);
			if (!b) {
				throw new Error('Hex is pairs of 0-9 and a-f');
			}
			return fromBytes(b);
		}
		if (view === 'json' && tokens(text) === null) {
			try {
				JSON.parse(text);
			} catch (e) {
				throw new Error(`This is no JSON: ${say(e)}`);
			}
		}
		return view === 'escaped' ? unescape(text) : text;
	};
	const save = (pack: boolean) => {
		try {
			const n = next();
			setBusy(true);
			onSave(pack && typeof n === 'string' ? (compact(n) ?? n) : n).then(done => { if (done) { setEdit(null); } }, e => setError(say(e))).finally(() => setBusy(false));
		} catch (e) {
			setError(say(e));
		}
	};
	return (
		<>
			<div class="row">
				<Choice<View> label="Shown as" value={view} onChange={setPicked} options={views.map(x => ({ value: x, text: NAME[x] }))} />
				<span class="push" />
				{edit === null && <Button icon="copy" label="Copy" kind="quiet" onClick={() => { copy(typeof value === 'string' ? value : escape(value)).then(ok => note(ok ? 'Copied' : 'It cannot be copied here', ok ? 'good' : 'bad')); }} />}
				{edit === null && <Button icon="save" label="Save as a file" kind="quiet" onClick={() => download(file, [raw as BlobPart], 'application/octet-stream')} />}
				{editable && edit === null && view !== 'image' && view !== 'msgpack' && <Button icon="edit" onClick={begin}>Edit</Button>}
				{edit !== null && <><Button onClick={() => setEdit(null)}>Cancel</Button>{view === 'json' && <Button busy={busy} onClick={() => save(true)} title="Without white space">Save compact</Button>}<Button kind="main" busy={busy} onClick={() => save(false)}>Save</Button></>}
			</div>
			{error !== '' && <p class="fault" role="alert">{error}</p>}
			{edit !== null ? <textarea aria-label="Value" rows={18} value={edit} spellcheck={false} onInput={e => setEdit(e.currentTarget.value)} /> : <Shown view={view} value={value} raw={raw} />}
		</>
	);
}

function Shown({ view, value, raw }: { view: View; value: Bin; raw: Uint8Array }): JSX.Element {
	const [lines, setLines] = useState(512);
	switch (view) {
		case 'json': return <Json text={value as string} />;
		case 'hex': return (
			<>
				<div class="hex" tabIndex={0} role="group" aria-label="Hex">{hexLines(raw, 0, lines).map(l => <div key={l.offset}><span class="off">{l.offset}</span>  {l.hex.padEnd(47)}  {l.text}</div>)}</div>
				{raw.length > lines * 16 && <div><Button onClick={() => setLines(lines * 4)}>More, {bytes(raw.length - lines * 16)} left</Button></div>}
			</>);
		case 'msgpack': {
			const u = unpack(raw);
			return <pre class="plain">{u ? packedText(u.value) : ''}</pre>;
		}
		case 'image': return <Picture raw={raw} />;
		case 'text': return raw.length === 0 ? <p class="empty">The empty string.</p> : <pre class="plain">{value as string}</pre>;
		default: return <pre class="plain">{escape(value)}</pre>;
	}
}

function Picture({ raw }: { raw: Uint8Array }): JSX.Element {
	const [url, setUrl] = useState('');
	useEffect(() => {
		const u = URL.createObjectURL(new Blob([raw as BlobPart], { type: imageType(raw) ?? '' }));
		setUrl(u);
		return () => URL.revokeObjectURL(u);
	}, [raw]);
	return url === '' ? <p class="empty">…</p> : <img src={url} alt={`The value as a picture, ${imageType(raw)}`} />;
}

export function Json({ text }: { text: string }): JSX.Element {
	const list = useMemo(() => {
		const t = tokens(text);
		return t === null ? null : layOut(t);
	}, [text]);
	if (list === null || list.length > 20000) {
		return <pre class="plain">{list === null ? text : list.map(t => t.text).join('')}</pre>;
	}
	return <pre class="plain">{list.map((t, i) => (t.kind === 'mark' ? t.text : <span key={i} class={`json-${t.kind}`}>{t.text}</span>))}</pre>;
}
