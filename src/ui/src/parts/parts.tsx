// The pieces that every view is made of. Text only ever gets into the page as a text node.
import type { ComponentChildren, JSX } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { type Bin, escape } from '../core/bin';
import type { Grade } from '../core/health';
import { say } from '../state';

const PATHS: Record<string, string> = {
	cluster: 'M8 2.5a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6M3.6 10a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6m8.8 0a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6M7.2 6 4.5 10.2M8.8 6l2.7 4.2M5.4 11.8h5.2',
	metrics: 'M2 13.5h12M2.5 10.5l3-4 2.5 2.5L13.5 3',
	browser: 'M2.5 3.5h4v3h-4zM9 5h5M2.5 9.5h4v3h-4zM9 11h5',
	console: 'M2 3h12v10H2zM4.5 6l2 2-2 2M8 10.5h3.5',
	tools: 'M9.8 6.2 3 13M13.6 4.6l-2 2-2.2-2.2 2-2a3.4 3.4 0 0 0-4.2 4.2 3.4 3.4 0 0 0 4.2 2.2 3.4 3.4 0 0 0 2.2-4.2',
	close: 'm4 4 8 8M12 4l-8 8',
	more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
	plus: 'M8 3v10M3 8h10',
	trash: 'M3 4.5h10M6 4.5V3h4v1.5M4.3 4.5l.6 8.5h6.2l.6-8.5M6.8 7v3.8M9.2 7v3.8',
	edit: 'm3 13 .7-3L10.5 3.2l2.3 2.3L6 12.3zM9 4.7 11.3 7',
	copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
	refresh: 'M13 8a5 5 0 1 1-1.5-3.6M13 2.5v3h-3',
	play: 'M4.5 3v10l8-5z',
	stop: 'M4 4h8v8H4z',
	swap: 'M2.5 5.5h10M10 3l2.5 2.5L10 8M13.5 10.5h-10M6 8l-2.5 2.5L6 13',
	search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3 14 14',
	down: 'm4 6 4 4 4-4',
	right: 'm6 4 4 4-4 4',
	back: 'm10 3.5-5 4.5 5 4.5',
	sun: 'M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6M8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M3.4 12.6l1.1-1.1M11.5 4.5l1.1-1.1',
	moon: 'M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6',
	auto: 'M8 2.5a5.5 5.5 0 1 1 0 11zM8 2.5a5.5 5.5 0 1 0 0 11',
	list: 'M5 4h9M5 8h9M5 12h9M2 4h.01M2 8h.01M2 12h.01',
	tree: 'M3 3h4M5 3v9h4M5 7.5h4M11 7.5h2.5M11 12h2.5',
	save: 'M8 2.5v7M5 7l3 3 3-3M3 13.5h10',
	load: 'M8 10V3M5 5.5l3-3 3 3M3 13.5h10',
	key: 'M10.5 3a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5M8.6 7.3 3 13v.01M5 11l1.6 1.6',
	out: 'M9.5 3H3v10h6.5M7 8h7M11.5 5.5 14 8l-2.5 2.5',
};

export function Icon({ name }: { name: keyof typeof PATHS | string }): JSX.Element {
	return <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d={PATHS[name] ?? ''} /></svg>;
}

// A mark that is told apart by its shape alone.
export function Mark({ grade, big }: { grade: Grade | 'off'; big?: boolean }): JSX.Element {
	return (
		<svg class={`mark mark-${grade}${big ? ' mark-big' : ''}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
			{grade === 'good' && <><circle class="fill" cx="8" cy="8" r="7" /><path class="cut" d="m4.8 8.2 2.2 2.3 4.2-4.8" /></>}
			{grade === 'warn' && <><path class="fill" d="M8 1.2 15.2 14.4H.8z" /><path class="cut" d="M8 5.8v4M8 12v.2" /></>}
			{grade === 'bad' && <><path class="fill" d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" /><path class="cut" d="m5.3 5.3 5.4 5.4M10.7 5.3l-5.4 5.4" /></>}
			{grade === 'unknown' && <><circle class="ring" cx="8" cy="8" r="6.2" /><path class="ask" d="M8 4.6v4.2M8 11.2v.2" /></>}
			{grade === 'off' && <circle class="ring" cx="8" cy="8" r="5" />}
		</svg>
	);
}

interface ButtonProps {
	onClick?: (e: MouseEvent) => void;
	children?: ComponentChildren;
	icon?: string;
	label?: string; // the accessible name where there is only an icon
	kind?: 'main' | 'grave' | 'quiet';
	disabled?: boolean;
	busy?: boolean;
	pressed?: boolean;
	type?: 'button' | 'submit';
	title?: string;
}

export function Button({ onClick, children, icon, label, kind, disabled, busy, pressed, type = 'button', title }: ButtonProps): JSX.Element {
	return (
		<button type={type} class={`btn${kind ? ` btn-${kind}` : ''}${children === undefined ? ' btn-icon' : ''}`} onClick={onClick} disabled={disabled === true || busy === true}
			aria-label={label} title={title ?? label} aria-pressed={pressed} aria-busy={busy}>
			{icon && <Icon name={icon} />}{children}
		</button>
	);
}

// One of a few: arrow keys move, as in any group of radio buttons.
export function Choice<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: { value: T; text: ComponentChildren; title?: string }[]; onChange: (v: T) => void }): JSX.Element {
	const name = useRef(`c${Math.random().toString(36).slice(2)}`);
	return (
		<fieldset class="choice">
			<legend class="unseen">{label}</legend>
			{options.map(o => (
				<label key={o.value} title={o.title} class={o.value === value ? 'on' : ''}>
					<input type="radio" name={name.current} value={o.value} checked={o.value === value} onChange={() => onChange(o.value)} aria-label={o.title} />{o.text}
				</label>
			))}
		</fieldset>
	);
}

export function Field({ label, children, hint }: { label: string; children: ComponentChildren; hint?: string }): JSX.Element {
	return <label class="field"><span class="field-name">{label}</span>{children}{hint && <span class="hint">{hint}</span>}</label>;
}

export function Input(p: { value: string; onInput: (v: string) => void; label?: string; placeholder?: string; mono?: boolean; type?: 'text' | 'number'; onEnter?: () => void; auto?: boolean; disabled?: boolean; id?: string; list?: string }): JSX.Element {
	const ref = useRef<HTMLInputElement>(null);
	useEffect(() => {
		if (p.auto) {
			ref.current?.focus();
		}
	}, []);
	return <input ref={ref} id={p.id} class={`input${p.mono ? ' mono' : ''}`} type="text" inputMode={p.type === 'number' ? 'decimal' : undefined} value={p.value} aria-label={p.label} placeholder={p.placeholder} disabled={p.disabled}
		autocomplete="off" autocapitalize="off" spellcheck={false}
		onInput={e => p.onInput(e.currentTarget.value)} onKeyDown={e => { if (e.key === 'Enter' && p.onEnter) { e.preventDefault(); p.onEnter(); } }} />;
}

export function Select<T extends string>(p: { value: T; options: (T | [T, string])[]; onChange: (v: T) => void; label: string }): JSX.Element {
	return (
		<span class="select">
			<select value={p.value} aria-label={p.label} onChange={e => p.onChange(e.currentTarget.value as T)}>
				{p.options.map(o => { const [v, t] = Array.isArray(o) ? o : [o, o]; return <option key={v} value={v}>{t}</option>; })}
			</select>
			<Icon name="down" />
		</span>
	);
}

export function Panel({ title, tools, children, class: cls, id }: { title?: ComponentChildren; tools?: ComponentChildren; children: ComponentChildren; class?: string; id?: string }): JSX.Element {
	return (
		<section class={`panel ${cls ?? ''}`} id={id}>
			{(title !== undefined || tools !== undefined) && <header class="panel-head"><h2>{title}</h2>{tools !== undefined && <div class="tools">{tools}</div>}</header>}
			{children}
		</section>
	);
}

// The browser's own dialog: it keeps the focus, closes on Escape, and gives the focus back.
export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }): JSX.Element {
	const ref = useRef<HTMLDialogElement>(null);
	useEffect(() => {
		const d = ref.current;
		if (d && !d.open) {
			d.showModal();
		}
		return () => d?.close();
	}, []);
	return (
		<dialog ref={ref} class={wide ? 'wide' : ''} aria-label={title} onCancel={e => { e.preventDefault(); onClose(); }}
			onClick={e => { if (e.target === ref.current) { onClose(); } }} onKeyDown={e => e.stopPropagation()}>
			<div class="dialog-in">
				<header><h2>{title}</h2><Button icon="close" label="Close" kind="quiet" onClick={onClose} /></header>
				{children}
			</div>
		</dialog>
	);
}

export function Bytes({ bin, max = 400 }: { bin: Bin; max?: number }): JSX.Element {
	const text = escape(bin);
	return <span class="mono bytes" title={text.length > 60 ? text.slice(0, 2000) : undefined}>{text === '' ? <i class="dim">empty</i> : text.length > max ? `${text.slice(0, max)}…` : text}</span>;
}

export function Fault({ error, again }: { error: unknown; again?: () => void }): JSX.Element {
	return <p class="fault" role="alert"><Mark grade="bad" /><span>{say(error)}</span>{again && <Button kind="quiet" onClick={again}>Try again</Button>}</p>;
}

export function Empty({ children }: { children: ComponentChildren }): JSX.Element {
	return <p class="empty">{children}</p>;
}

export interface Loaded<T> {
	data: T | undefined;
	error: unknown;
	loading: boolean;
	reload: () => Promise<void>; // over when the answer is shown, or its error
}

// Data for a view; a newer question makes the answer to an older one void.
export function useLoad<T>(f: () => Promise<T>, deps: unknown[]): Loaded<T> {
	const [s, set] = useState<{ data: T | undefined; error: unknown; loading: boolean }>({ data: undefined, error: null, loading: true });
	const turn = useRef(0);
	const reload = useCallback(() => {
		const mine = ++turn.current;
		set(x => ({ ...x, loading: true }));
		return f().then(
			data => { if (mine === turn.current) { set({ data, error: null, loading: false }); } },
			error => { if (mine === turn.current) { set(x => ({ data: x.data, error, loading: false })); } },
		);
	}, deps);
	useEffect(() => {
		reload();
		return () => { turn.current++; };
	}, [reload]);
	return { ...s, reload };
}

export function useEvery(f: () => void, ms: number, on = true): void {
	const keep = useRef(f);
	keep.current = f;
	useEffect(() => {
		if (!on) {
			return;
		}
		const t = setInterval(() => { if (!document.hidden) { keep.current(); } }, ms);
		return () => clearInterval(t);
	}, [ms, on]);
}

export function usePhone(): boolean {
	const q = useRef(matchMedia('(max-width: 720px)'));
	const [on, set] = useState(q.current.matches);
	useEffect(() => {
		const f = () => set(q.current.matches);
		q.current.addEventListener('change', f);
		return () => q.current.removeEventListener('change', f);
	}, []);
	return on;
}

export interface Column<T> {
	head: string;
	cell: (row: T) => ComponentChildren;
	sort?: (row: T) => number | string;
	num?: boolean;
	grow?: boolean;
	thin?: boolean; // left out at phone width
}

export function Table<T>({ rows, columns, id, onRow, sorted, label, max = 500 }: { rows: T[]; columns: Column<T>[]; id: (row: T) => string | number; onRow?: (row: T) => void; sorted?: [number, 1 | -1]; label: string; max?: number }): JSX.Element {
	const [by, setBy] = useState<[number, 1 | -1] | null>(sorted ?? null);
	let list = rows;
	const key = by ? columns[by[0]]?.sort : undefined;
	if (by && key) {
		list = [...rows].sort((a, b) => {
			const x = key(a);
			const y = key(b);
			return (x < y ? -1 : x > y ? 1 : 0) * by[1];
		});
	}
	return (
		<div class="tbl-box">
			<table class="tbl" aria-label={label}>
				<thead><tr>{columns.map((c, i) => (
					<th key={c.head || i} scope="col" class={`${c.num ? 'num ' : ''}${c.thin ? 'thin' : ''}`} aria-sort={by?.[0] === i ? (by[1] === 1 ? 'ascending' : 'descending') : undefined}>
						{c.sort ? <button type="button" onClick={() => setBy(by?.[0] === i ? [i, by[1] === 1 ? -1 : 1] : [i, c.num ? -1 : 1])}>{c.head}<span class="sort">{by?.[0] === i ? (by[1] === 1 ? ' ↑' : ' ↓') : ''}</span></button> : c.head === '' ? <span class="unseen">Actions</span> : c.head}
					</th>))}</tr></thead>
				<tbody>{list.slice(0, max).map(r => (
					<tr key={id(r)} onClick={onRow ? () => onRow(r) : undefined} class={onRow ? 'link' : ''}>
						{columns.map((c, i) => <td key={i} class={`${c.num ? 'num ' : ''}${c.grow ? 'grow ' : ''}${c.thin ? 'thin' : ''}`}>{c.cell(r)}</td>)}
					</tr>))}</tbody>
			</table>
			{list.length > max && <p class="hint">{list.length - max} more are not shown.</p>}
		</div>
	);
}

export async function copy(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		// Without TLS there is no clipboard but on localhost; the old way works everywhere.
		const t = document.createElement('textarea');
		t.value = text;
		document.body.append(t);
		t.select();
		const ok = document.execCommand('copy');
		t.remove();
		return ok;
	}
}

export function download(name: string, parts: BlobPart[], type: string): void {
	const a = document.createElement('a');
	a.href = URL.createObjectURL(new Blob(parts, { type }));
	a.download = name;
	a.click();
	setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}
