// The frame: rail, health, one view. Views are drawn from the route; keys 1 to 5 go to them, / to the search of a view.
import './style.css';
import { Component, render } from 'preact';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { micros, short, whole } from './core/format';
import { Button, Choice, Dialog, Fault, Icon, Input, Mark } from './parts/parts';
import { Spark } from './parts/chart';
import { begin, complain, dropNote, linkTo, logIn, logOut, loginNeeded, notes, question, recent, route, sample, say, session, state, status, type Theme, theme } from './state';
import { Cluster } from './views/cluster';
import { Metrics } from './views/metrics';
import { Browser } from './views/browser';
import { Console } from './views/console';
import { Tools } from './views/tools';

const VIEWS: { id: string; name: string; view: () => JSX.Element; flush?: boolean }[] = [
	{ id: 'cluster', name: 'Cluster', view: Cluster },
	{ id: 'metrics', name: 'Metrics', view: Metrics },
	{ id: 'browser', name: 'Browser', view: Browser, flush: true },
	{ id: 'console', name: 'Console', view: Console, flush: true },
	{ id: 'tools', name: 'Tools', view: Tools, flush: true },
];

function Logo(): JSX.Element {
	return <svg viewBox="0 0 32 32" aria-hidden="true"><path d="M16 3v12M16 15c0 6-4 8-10 9M16 15c0 6 4 8 10 9M16 15c0 6-2 10-5 14M16 15c0 6 2 10 5 14" /><circle cx="16" cy="6" r="4" /></svg>;
}

function Rail(): JSX.Element {
	const s = session.value;
	const here = route.value.view;
	return (
		<aside class="rail" aria-label="Holdfast">
			<a class="brand" href={linkTo('cluster')} aria-label={`Holdfast ${s ? `${s.cluster} on ${s.node}` : ''}, cluster view`}><Logo /><span>Holdfast<small>{s ? `${s.cluster} on ${s.node}` : ''}</small></span></a>
			<nav class="nav" aria-label="Views">
				{VIEWS.map((v, i) => <a key={v.id} href={linkTo(v.id)} aria-current={here === v.id ? 'page' : undefined} aria-label={v.name} title={`${v.name} (key ${i + 1})`}><Icon name={v.id} /><span>{v.name}</span><kbd>{i + 1}</kbd></a>)}
			</nav>
			<div class="rail-foot">
				{s?.user && <div class="who"><span title={`signed in as ${s.user}`}>{s.user} · {s.role}</span><Button icon="out" label="Sign out" title={`Sign out (${s.user}, ${s.role})`} kind="quiet" onClick={signOut} /></div>}
				<Colours />
				<span>{s ? `version ${s.version}` : ''}</span>
			</div>
		</aside>
	);
}

function signOut(): void {
	logOut().catch(complain);
}

function Colours(): JSX.Element {
	return <Choice<Theme> label="Colours" value={theme.value} onChange={v => { theme.value = v; }} options={[{ value: 'auto', text: <Icon name="auto" />, title: 'Colours as the system' }, { value: 'light', text: <Icon name="sun" />, title: 'Light' }, { value: 'dark', text: <Icon name="moon" />, title: 'Dark' }]} />;
}

// What stands at the foot of the rail, which a phone has no room for.
function PhoneMenu(): JSX.Element {
	const [open, setOpen] = useState(false);
	const s = session.value;
	return (
		<span class="only-phone"><Button icon="more" label="You and this page" kind="quiet" onClick={() => setOpen(true)} />
			{open && <Dialog title="You and this page" onClose={() => setOpen(false)}>
				{s && <p>{s.user ? <>Signed in as <b>{s.user}</b>, {s.role}. </> : ''}{s.cluster} on {s.node}, version {s.version}.</p>}
				<div class="row">Colours <Colours /></div>
				<div class="dialog-acts">{s?.user && <Button icon="out" onClick={signOut}>Sign out</Button>}<Button onClick={() => setOpen(false)}>Close</Button></div>
			</Dialog>}
		</span>
	);
}

function Health({ flush }: { flush: boolean }): JSX.Element {
	const h = state.value;
	const f = sample.value?.figures ?? {};
	const last = recent.value.slice(-60);
	const clients = sumOf(f, '.clients', 'proxy-');
	return (
		<header class={`health health-${h.grade}${flush ? ' health-flush' : ''}`}>
			<Mark grade={h.grade} big />
			<div class="health-text" role="status" aria-live="polite"><h1><span class="unseen">{h.word}: </span>{h.sentence}</h1>{h.advice !== '' && <p>{h.advice}</p>}</div>
			<PhoneMenu />
			<dl class="pulse">
				<div><dt>Operations/s</dt><dd>{short(f['cluster.ops'])}</dd><dd class="spark-box"><Spark label="operations a second over the last minute" values={last.map(s => s.figures['cluster.ops'] ?? null)} /></dd></div>
				<div><dt>99th percentile</dt><dd>{micros(f['cluster.p99_us'])}</dd><dd class="spark-box"><Spark label="99th percentile of latency over the last minute" values={last.map(s => s.figures['cluster.p99_us'] ?? null)} /></dd></div>
				<div><dt>Clients</dt><dd>{whole(clients)}</dd></div>
			</dl>
		</header>
	);
}

function sumOf(f: Record<string, number | null>, tail: string, head: string): number | null {
	const all = Object.entries(f).filter(([k, v]) => k.startsWith(head) && k.endsWith(tail) && v !== null);
	return all.length === 0 ? null : all.reduce((a, [, v]) => a + (v ?? 0), 0);
}

function Login(): JSX.Element {
	const [user, setUser] = useState('');
	const [password, setPassword] = useState('');
	const [error, setError] = useState('');
	const [busy, setBusy] = useState(false);
	const send = (e: Event) => {
		e.preventDefault();
		setBusy(true);
		setError('');
		logIn(user, password).catch(x => setError(say(x))).finally(() => { setBusy(false); setPassword(''); });
	};
	return (
		<div class="login"><form onSubmit={send} aria-label="Sign in">
			<h1><span class="brand"><Logo /></span>Sign in</h1>
			<label class="field"><span class="field-name">User</span><input class="input" name="username" autocomplete="username" value={user} onInput={e => setUser(e.currentTarget.value)} required /></label>
			<label class="field"><span class="field-name">Password</span><input class="input" type="password" name="password" autocomplete="current-password" value={password} onInput={e => setPassword(e.currentTarget.value)} required /></label>
			{error !== '' && <p class="fault" role="alert"><Mark grade="bad" /><span>{error}</span></p>}
			<Button type="submit" kind="main" busy={busy}>Sign in</Button>
			<p class="hint">Users are the sections [user-NAME] of the configuration.</p>
		</form></div>
	);
}

function Asking(): JSX.Element | null {
	const q = question.value;
	const [typed, setTyped] = useState('');
	useEffect(() => setTyped(''), [q]);
	if (!q) {
		return null;
	}
	const ready = q.typed === undefined || typed === q.typed;
	return (
		<Dialog title={q.title} onClose={() => q.answer(false)}>
			<p>{q.text}</p>
			{q.detail && <pre class="plain">{q.detail}</pre>}
			{q.typed !== undefined && <label class="field"><span class="field-name">Type <b>{q.typed}</b> to go on</span><Input value={typed} onInput={setTyped} auto onEnter={() => { if (ready) { q.answer(true); } }} /></label>}
			<div class="dialog-acts"><Button onClick={() => q.answer(false)}>Cancel</Button><Button kind={q.grave ? 'grave' : 'main'} disabled={!ready} onClick={() => q.answer(true)}>{q.yes}</Button></div>
		</Dialog>
	);
}

// A view that fails leaves the rest of the page, and says so.
class Guard extends Component<{ children: ComponentChildren }, { error: unknown }> {
	override state = { error: null as unknown };
	override componentDidCatch(error: unknown): void {
		console.error(error);
		this.setState({ error });
	}
	render(): ComponentChildren {
		return this.state.error === null ? this.props.children : <div class="page"><Fault error={`This view has failed: ${say(this.state.error)}. The rest of the page goes on.`} again={() => this.setState({ error: null })} /></div>;
	}
}

function App(): JSX.Element {
	const main = useRef<HTMLElement>(null);
	const here = VIEWS.find(v => v.id === route.value.view);
	useEffect(() => {
		const onKey = (e: KeyboardEvent) => {
			const t = e.target as HTMLElement;
			if (e.ctrlKey || e.metaKey || e.altKey || t.closest('input, textarea, select, dialog')) {
				return;
			}
			const v = VIEWS[Number(e.key) - 1];
			if (v) {
				location.hash = linkTo(v.id);
			} else if (e.key === '/') {
				const box = document.querySelector<HTMLElement>('[data-search] input, [data-search] textarea');
				if (box) {
					e.preventDefault();
					box.focus();
				}
			}
		};
		addEventListener('keydown', onKey);
		return () => removeEventListener('keydown', onKey);
	}, []);
	const s = status.value;
	useEffect(() => {
		document.title = `${state.value.grade === 'good' ? '' : `${state.value.word} · `}${here?.name ?? 'Holdfast'} · ${session.value?.cluster ?? 'Holdfast'}`;
	}, [here, s, state.value]);
	if (loginNeeded.value) {
		return <><Login /><Notes /></>;
	}
	const View = here?.view;
	return (
		<div class="shell">
			<Rail />
			<Health flush={here?.flush === true} />
			<main ref={main} class={`main${here?.flush ? ' flush' : ''}`} id="main" tabIndex={-1} aria-label={here?.name}>
				{View ? <Guard key={here.id}><View /></Guard> : <p class="empty">There is no view “{route.value.view}”. <a href={linkTo('cluster')}>Cluster</a></p>}
			</main>
			<Asking />
			<Notes />
		</div>
	);
}

function Notes(): JSX.Element {
	return <ul class="notes" aria-live="polite">{notes.value.map(n => <li key={n.id}><Mark grade={n.grade} /><span>{n.text}</span><Button icon="close" label="Dismiss" kind="quiet" onClick={() => dropNote(n.id)} /></li>)}</ul>;
}

addEventListener('unhandledrejection', e => complain(e.reason));
render(<App />, document.getElementById('app')!);
begin().catch(complain);
