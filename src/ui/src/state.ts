// What all views share: who we are, what the server last said, where the address bar points, what asks for attention.
import { batch, computed, effect, signal } from '@preact/signals';
import { ApiError, api, stream, whenLoginNeeded } from './api/client';
import type { Event, Events, Sample, Session, Status } from './api/types';
import { health, renewed } from './core/health';
import { everyone, keyOf, newestFirst } from './core/hosts';

export const session = signal<Session | null>(null);
export const loginNeeded = signal(false);
export const status = signal<Status | null>(null);
export const offline = signal<string | null>(null);
export const instances = computed(() => (status.value === null ? [] : everyone(status.value)));
export const events = signal<Event[]>([]); // of all hosts, newest first
export const eventsKnown = signal<true | string | null>(null); // or why not
export const olderEvents = signal<{ place: string; missing: Events['missing'] }>({ place: '', missing: [] });
export const sample = signal<Sample | null>(null);
export const recent = signal<Sample[]>([]); // the last minutes, one a second
export const state = computed(() => health(status.value, offline.value));
export const operator = computed(() => session.value?.role === 'operator');

const KEEP_EVENTS = 500;
const KEEP_SAMPLES = 300;
const SILENCE_MS = 5000; // figures come each second; a host without power, or a worker that hangs, ends no connection

function takeEvents(list: Event[]): void {
	const seen = new Set(events.value.map(keyOf));
	const fresh = list.filter(e => !seen.has(keyOf(e)));
	if (fresh.length > 0) {
		events.value = newestFirst([...events.value, ...fresh]).slice(0, KEEP_EVENTS);
	}
}

let hostsHeard = '';
export const sampleHeard = new Set<(s: Sample) => void>();
let stop: (() => void) | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;

// One stream for the page; a hidden page has none, since a browser opens only six connections to a host.
function connect(): void {
	stop?.();
	clearTimeout(retry);
	stop = null;
	if (document.hidden || loginNeeded.value || session.value === null) {
		return;
	}
	let closed = false;
	let watch: ReturnType<typeof setTimeout> | undefined;
	const heard = () => {
		clearTimeout(watch);
		watch = setTimeout(() => {
			offline.value ??= 'Nothing has come over the live connection for some seconds; trying again.';
			connect();
		}, SILENCE_MS);
	};
	const contact = () => {
		offline.value = null;
	};
	heard();
	const end = stream('/live', {
		status: (s: Status) => batch(() => {
			heard();
			contact();
			status.value = s;
		}),
		event: (e: Event) => takeEvents([e]),
		metrics: (s: Sample) => batch(() => {
			heard();
			sample.value = s;
			status.value = status.value && renewed(status.value, s);
			recent.value = [...recent.value.slice(-KEEP_SAMPLES), s];
			for (const f of sampleHeard) {
				f(s);
			}
		}),
		offline: (x: { error: string }) => {
			heard();
			offline.value = x.error;
		},
	}, () => {
		// EventSource tries again by itself unless the answer was no stream; then we ask why.
		offline.value ??= 'The live connection is gone; trying again.';
		if (!closed) {
			clearTimeout(retry);
			retry = setTimeout(() => {
				if (!closed) {
					api.session().then(s => {
						session.value = s;
						loginNeeded.value = s.login && s.role === null;
						connect();
					}, () => connect());
				}
			}, 3000);
		}
	});
	let again: ReturnType<typeof setTimeout> | undefined;
	const look = () => {
		clearTimeout(again);
		api.events(200).then(r => batch(() => {
			eventsKnown.value = true;
			olderEvents.value = { place: r.older, missing: r.missing };
			takeEvents(r.events);
			// a host that has just come back is heard before it answers
			if (!closed && r.missing.some(m => status.value?.hosts?.some(h => h.name === m.host && h.reachable && h.supervised))) {
				again = setTimeout(look, 2000);
			}
		}), e => {
			if (eventsKnown.value !== true) {
				eventsKnown.value = say(e);
			}
		});
	};
	look();
	// Hosts come and go: whose events are missing is looked at again when one of them has.
	const hosts = effect(() => {
		const now = (status.value?.hosts ?? []).map(h => `${h.name}${h.reachable}${h.supervised}`).join();
		if (now !== hostsHeard) {
			const first = hostsHeard === '';
			hostsHeard = now;
			if (!first) {
				look();
			}
		}
	});
	stop = () => {
		closed = true;
		clearTimeout(again);
		clearTimeout(watch);
		end();
		hosts();
	};
}

export async function begin(): Promise<void> {
	whenLoginNeeded(() => {
		loginNeeded.value = true;
	});
	document.addEventListener('visibilitychange', connect);
	for (;;) {
		try {
			const s = await api.session();
			session.value = s;
			loginNeeded.value = s.login && s.role === null;
			break;
		} catch (e) {
			if (e instanceof ApiError && e.status === 401) {
				loginNeeded.value = true;
				break;
			}
			offline.value = e instanceof Error ? e.message : String(e);
			await new Promise(ok => setTimeout(ok, 1000));
		}
	}
	connect();
}

export async function logIn(user: string, password: string): Promise<void> {
	session.value = await api.login(user, password);
	loginNeeded.value = false;
	offline.value = null;
	connect();
}

export async function logOut(): Promise<void> {
	await api.logout().catch(() => null);
	stop?.();
	stop = null;
	batch(() => {
		loginNeeded.value = session.value?.login ?? true;
		status.value = null;
		events.value = [];
		recent.value = [];
		sample.value = null;
	});
}

// --- where we are: #/view/rest?query -------------------------------------------------------------------------------------

export interface Route {
	view: string;
	path: string[]; // still percent-encoded: a segment may be the bytes of a key
	query: Record<string, string>;
}

export function parseRoute(hash: string): Route {
	const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
	const parts = path.split('/');
	const q: Record<string, string> = Object.create(null);
	for (const [k, v] of new URLSearchParams(query)) {
		q[k] = v;
	}
	return { view: parts[0] || 'cluster', path: parts.slice(1).filter(p => p !== ''), query: q };
}

// A part of the path as text; what is no percent-encoding stays as it is: a link may have been cut off.
export function part(r: Route, i: number): string | null {
	const text = r.path[i];
	if (text === undefined) {
		return null;
	}
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

export function linkTo(view: string, path: string[] = [], query: Record<string, string | undefined> = {}): string {
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(query)) {
		if (v !== undefined && v !== '') {
			q.set(k, v);
		}
	}
	const text = q.toString();
	return `#/${[view, ...path].join('/')}${text === '' ? '' : `?${text}`}`;
}

export const route = signal<Route>(parseRoute(location.hash));
addEventListener('hashchange', () => {
	route.value = parseRoute(location.hash);
});

export function go(link: string, replace = false): void {
	if (replace) {
		history.replaceState(null, '', link);
		route.value = parseRoute(link);
	} else {
		location.hash = link;
	}
}

// --- light and dark --------------------------------------------------------------------------------------------------------

export type Theme = 'auto' | 'light' | 'dark';
const stored = localStorage.getItem('holdfast.theme');
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'auto');
export const themeTurned = signal(0); // counts up when colours change, for what is drawn on a canvas
effect(() => {
	document.documentElement.dataset.theme = theme.value;
	localStorage.setItem('holdfast.theme', theme.value);
	themeTurned.value = themeTurned.peek() + 1;
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
	themeTurned.value++;
});

// --- notes at the edge, questions in the middle --------------------------------------------------------------------------

export interface Note {
	id: number;
	grade: 'good' | 'bad';
	text: string;
}
export const notes = signal<Note[]>([]);
let lastNote = 0;

export function note(text: string, grade: Note['grade'] = 'good'): void {
	const id = ++lastNote;
	notes.value = [...notes.value.slice(-3), { id, grade, text }];
	setTimeout(() => dropNote(id), grade === 'bad' ? 12000 : 5000);
}

export function dropNote(id: number): void {
	notes.value = notes.value.filter(n => n.id !== id);
}

export function say(e: unknown): string {
	return e instanceof Error ? e.message : String(e);
}

export function complain(e: unknown): void {
	note(say(e), 'bad');
}

export interface Question {
	title: string;
	text: string;
	detail?: string;
	yes: string;
	grave?: boolean;
	typed?: string; // must be typed before yes is possible
	answer: (ok: boolean) => void;
}
export const question = signal<Question | null>(null);

export function ask(q: Omit<Question, 'answer'>): Promise<boolean> {
	return new Promise(ok => {
		question.value = {
			...q,
			answer: a => {
				question.value = null;
				ok(a);
			},
		};
	});
}
