// A command line to the master or one instance: completion and help from COMMAND DOCS, replies as a tree or raw, history.
import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { run } from '../api/client';
import { escape } from '../core/bin';
import { type CommandDoc, complete, docOf, readCommands, readDocs } from '../core/docs';
import { micros } from '../core/format';
import { errorOf, type Reply, replyText, replyWire } from '../core/reply';
import { danger, elsewhere, parseLines, parseWords } from '../core/words';
import { Button, Choice, copy, Select } from '../parts/parts';
import { ask, go, linkTo, note, route, say, status } from '../state';
import { ReplyTree } from './replytree';

interface Turn {
	id: number;
	target: string;
	db: number;
	line: string;
	reply: Reply | undefined;
	failed: string | null; // not even sent, or no answer
	us: number | null;
}

const KEEP = 200;
const turns = signal<Turn[]>([]);
const docs = signal<Map<string, CommandDoc>>(new Map());
const shownAs = signal<'tree' | 'text' | 'raw'>('tree');
const past = signal<string[]>(readPast());
let last = 0;

function readPast(): string[] {
	try {
		const x: unknown = JSON.parse(sessionStorage.getItem('holdfast.console') ?? '[]');
		return Array.isArray(x) ? x.filter((l): l is string => typeof l === 'string').slice(-KEEP) : [];
	} catch {
		return [];
	}
}

// Lines are kept for this tab only, and none that could carry a password.
function remember(line: string): void {
	past.value = [...past.value.filter(l => l !== line), line].slice(-KEEP);
	sessionStorage.setItem('holdfast.console', JSON.stringify(past.value.filter(l => !/^\s*(auth|hello|acl\s+setuser|config\s+set\s+\S*(pass|auth)|migrate)\b/i.test(l))));
}

async function loadDocs(): Promise<void> {
	if (docs.value.size > 0) {
		return;
	}
	const [r] = await run([['COMMAND', 'DOCS']]);
	if (r !== undefined && errorOf(r) === null) {
		docs.value = readDocs(r);
	} else {
		const [c] = await run([['COMMAND']]);
		docs.value = readCommands(c ?? null);
	}
}

export function Console(): JSX.Element {
	const q = route.value.query;
	const target = q.target ?? 'master';
	const db = Number(q.db ?? '0') || 0;
	const [line, setLine] = useState('');
	const [at, setAt] = useState(-1); // in the history; -1: a line of its own
	const [pick, setPick] = useState(0);
	const [busy, setBusy] = useState(false);
	const end = useRef<HTMLDivElement>(null);
	const input = useRef<HTMLTextAreaElement>(null);
	const s = status.value;
	useEffect(() => {
		loadDocs().catch(() => {});
		input.current?.focus();
	}, []);
	useEffect(() => {
		if (end.current) {
			end.current.scrollTop = end.current.scrollHeight;
		}
	}, [turns.value]);
	const targets = ['master', ...(s?.instances.filter(i => (i.kind === 'redis' || i.kind === 'sentinel') && i.wanted === 'up').map(i => i.name) ?? [])];
	const parsed = parseWords(line.split('\n').pop() ?? '');
	const words = parsed.words.map(escape);
	const offers = parsed.fault === null ? complete(docs.value, words, parsed.open) : [];
	const doc = docOf(docs.value, words);
	const place = (p: { target?: string; db?: string }) => go(linkTo('console', [], { target: (p.target ?? target) === 'master' ? '' : (p.target ?? target), db: (p.db ?? String(db)) === '0' ? '' : (p.db ?? String(db)) }), true);

	const send = async () => {
		const list = parseLines(line);
		if (list.length === 0 || busy) {
			return;
		}
		const bad = list.find(l => l.words.fault !== null);
		if (bad) {
			note(`${bad.line.slice(0, 60)}: ${bad.words.fault}`, 'bad');
			return;
		}
		if (list.length === 1 && /^clear$/i.test(list[0]!.line)) {
			turns.value = [];
			setLine('');
			return;
		}
		const other = list.map(l => elsewhere(l.words.words)).find(x => x !== null);
		if (other) {
			go(`#/${other}`);
			return;
		}
		const risks = [...new Set(list.map(l => danger(l.words.words)).filter((x): x is string => x !== null))];
		if (risks.length > 0 && !(await ask({ title: 'Run this?', text: `It ${risks.join('; it ')}.`, detail: line, yes: 'Run', grave: true }))) {
			return;
		}
		setBusy(true);
		remember(line);
		setLine('');
		setAt(-1);
		try {
			for (let i = 0; i < list.length; i += 100) {
				const part = list.slice(i, i + 100);
				const begun = performance.now();
				let replies: Reply[] = [];
				let failed: string | null = null;
				try {
					replies = await run(part.map(l => l.words.words), { target, ...(target.startsWith('sentinel') ? {} : { db }), timeout_ms: 30000 });
				} catch (e) {
					failed = say(e);
				}
				const us = (performance.now() - begun) * 1000;
				turns.value = [...turns.value, ...part.map((l, k): Turn => ({ id: ++last, target, db, line: l.line, reply: replies[k], failed, us: k === part.length - 1 ? us : null }))].slice(-KEEP);
				if (failed !== null) {
					break;
				}
			}
		} finally {
			setBusy(false);
			input.current?.focus();
		}
	};
	const take = (offer: string) => {
		const cut = parsed.open ? line.length - (/\S*$/.exec(line)?.[0].length ?? 0) : line.length;
		setLine(`${line.slice(0, cut)}${offer} `);
		setPick(0);
		input.current?.focus();
	};
	const onKeyDown = (e: KeyboardEvent) => {
		const multi = line.includes('\n');
		if (e.key === 'Enter' && !e.shiftKey) {
			e.preventDefault();
			send().catch(x => note(say(x), 'bad'));
		} else if (e.key === 'Tab' && offers.length > 0 && !e.shiftKey) {
			e.preventDefault();
			take(offers[Math.min(pick, offers.length - 1)]!);
		} else if ((e.key === 'ArrowUp' || e.key === 'ArrowDown') && !multi) {
			const list = past.value;
			const next = e.key === 'ArrowUp' ? (at < 0 ? list.length - 1 : Math.max(0, at - 1)) : at < 0 ? -1 : at + 1 >= list.length ? -1 : at + 1;
			if (list.length > 0) {
				e.preventDefault();
				setAt(next);
				setLine(next < 0 ? '' : (list[next] ?? ''));
			}
		} else if (e.key === 'l' && e.ctrlKey) {
			e.preventDefault();
			turns.value = [];
		} else if (e.key === 'Escape') {
			setLine('');
			setAt(-1);
		} else if (e.key === 'ArrowRight' && offers.length > 1 && input.current?.selectionStart === line.length) {
			setPick((pick + 1) % offers.length);
		}
	};
	return (
		<>
			<div class="term" ref={end} role="log" aria-label="Replies" tabIndex={0}>
				{turns.value.length === 0 && <div class="welcome"><h2>Ask a server</h2><p>Lines go to {target === 'master' ? 'whoever is master, over a failover' : target}. Several lines are sent one after the other; <kbd>Shift</kbd> <kbd>Enter</kbd> begins another one. <kbd>Tab</kbd> completes, <kbd>↑</kbd> brings earlier lines back, <kbd>Ctrl</kbd> <kbd>L</kbd> clears.</p><p>What could do harm is asked for first. MONITOR and SUBSCRIBE have places of their own in Tools.</p></div>}
				{turns.value.map(t => <TurnView key={t.id} t={t} />)}
			</div>
			<div class="cli" data-search>
				<div class="suggest">
					{offers.map((o, i) => <button type="button" key={o} class={i === pick ? 'on' : ''} tabIndex={-1} onClick={() => take(o)}>{o}</button>)}
					{doc && <><span class="syntax">{doc.syntax}</span><span>{doc.summary}{doc.since && <span class="dim"> · since {doc.since}{doc.complexity && ` · ${doc.complexity}`}</span>}</span></>}
				</div>
				<div class="cli-line">
					<textarea ref={input} rows={1} value={line} aria-label="Command" placeholder={`Command for ${target}`} spellcheck={false} autocapitalize="off" autocomplete="off" onInput={e => { setLine(e.currentTarget.value); setPick(0); }} onKeyDown={onKeyDown} />
					<Button kind="main" busy={busy} onClick={() => { send().catch(x => note(say(x), 'bad')); }}>Run</Button>
				</div>
				<div class="row">
					<Select label="Target" value={target} onChange={v => place({ target: v })} options={targets.includes(target) ? targets : [...targets, target]} />
					{!target.startsWith('sentinel') && <Select label="Database" value={String(db)} onChange={v => place({ db: v })} options={Array.from({ length: 16 }, (_, i) => [String(i), `db ${i}`] as [string, string])} />}
					<Choice<'tree' | 'text' | 'raw'> label="Replies as" value={shownAs.value} onChange={v => { shownAs.value = v; }} options={[{ value: 'tree', text: 'Tree' }, { value: 'text', text: 'redis-cli' }, { value: 'raw', text: 'Raw' }]} />
					<span class="push" />
					<Button kind="quiet" onClick={() => { turns.value = []; }}>Clear</Button>
				</div>
			</div>
		</>
	);
}

function TurnView({ t }: { t: Turn }): JSX.Element {
	return (
		<article class="turn" aria-label={t.line}>
			<header><span class="prompt">{t.target}{t.db > 0 ? `[${t.db}]` : ''}&gt;</span><span class="cmd">{t.line}</span>{t.us !== null && <span class="took">{micros(Math.round(t.us))}</span>}{t.reply !== undefined && <Button icon="copy" label="Copy the reply" kind="quiet" onClick={() => { copy(replyText(t.reply ?? null)).then(ok => note(ok ? 'Copied' : 'It cannot be copied here', ok ? 'good' : 'bad')); }} />}</header>
			{t.failed !== null ? <p class="resp r-error">{t.failed}</p> : t.reply === undefined ? null : shownAs.value === 'tree' ? <ReplyTree reply={t.reply} /> : <pre class="resp">{cut(shownAs.value === 'raw' ? replyWire(t.reply) : replyText(t.reply))}</pre>}
		</article>
	);
}

function cut(text: string): string {
	return text.length > 100000 ? `${text.slice(0, 100000)}\n… ${text.length} characters in all` : text;
}
