// The one place that talks to the server. Every call is bounded in time; an answer that is not good becomes an ApiError whose
// text is for people. A 401 brings the login up (see session in state.ts).
import type { Bin } from '../core/bin';
import { errorOf, type Reply } from '../core/reply';
import type { Done, Events, History, LogLine, Modules, Plan, Sample, Session, Status } from './types';

export class ApiError extends Error {
	constructor(readonly status: number, text: string) {
		super(text);
	}
}

export type Arg = Bin | number;

let onLogin: () => void = () => {};
export function whenLoginNeeded(f: () => void): void {
	onLogin = f;
}

export async function call<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown, timeout_ms = 20000): Promise<T> {
	const stop = new AbortController();
	const timer = setTimeout(() => stop.abort(), timeout_ms);
	let response: Response;
	let data: unknown;
	try {
		const headers: Record<string, string> = { Accept: 'application/json', 'X-Holdfast': '1' };
		if (body !== undefined) {
			headers['Content-Type'] = 'application/json';
		}
		response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: stop.signal, credentials: 'same-origin', cache: 'no-store' });
		data = await response.json().catch(() => null);
	} catch {
		throw new ApiError(0, stop.signal.aborted ? `No answer within ${Math.round(timeout_ms / 1000)} s` : 'The server cannot be reached');
	} finally {
		clearTimeout(timer);
	}
	if (!response.ok) {
		if (response.status === 401 && path !== '/session') {
			onLogin();
		}
		const text = typeof data === 'object' && data !== null && 'error' in data ? String((data as { error: unknown }).error) : `${response.status} ${response.statusText}`;
		throw new ApiError(response.status, text);
	}
	return data as T;
}

export interface Where {
	target?: string; // master when left out
	db?: number;
	timeout_ms?: number;
}

// Up to 1000 commands at once; a reply for each, errors among them as {error}.
export async function run(commands: Arg[][], where: Where = {}): Promise<Reply[]> {
	if (commands.length === 0) {
		return [];
	}
	const timeout_ms = where.timeout_ms ?? 15000;
	const r = await call<{ replies: Reply[] }>('POST', '/command', { target: where.target ?? 'master', ...(where.db === undefined ? {} : { db: where.db }), commands, timeout_ms }, timeout_ms + 5000);
	return r.replies;
}

// One command; an error of the server is thrown.
export async function one(command: Arg[], where: Where = {}): Promise<Reply> {
	const [r] = await run([command], where);
	const e = errorOf(r);
	if (e !== null) {
		throw new ApiError(typeof r === 'object' && r !== null && 'cut' in r ? TOO_LARGE : 200, e);
	}
	return r ?? null;
}

const TOO_LARGE = 413;

// Elements may be large: where `n` of them are more than one answer may have, ten times fewer are asked for. Gives the number, too.
export async function fewer<T>(n: number, f: (n: number) => Promise<T>): Promise<[T, number]> {
	for (;;) {
		try {
			return [await f(n), n];
		} catch (e) {
			if (!(e instanceof ApiError) || e.status !== TOO_LARGE || n <= 1) {
				throw e;
			}
			n = Math.max(1, Math.floor(n / 10));
		}
	}
}

// Many commands in turns of `step`; errors are counted, not thrown.
export async function runMany(commands: Arg[][], where: Where = {}, step = 500): Promise<Reply[]> {
	const out: Reply[] = [];
	for (let i = 0; i < commands.length; i += step) {
		out.push(...(await run(commands.slice(i, i + step), where)));
	}
	return out;
}

export const api = {
	session: () => call<Session>('GET', '/session'),
	login: (user: string, password: string) => call<Session>('POST', '/session', { user, password }),
	logout: () => call<Session>('DELETE', '/session'),
	status: () => call<Status>('GET', '/status'),
	events: (n: number, older?: string) => call<Events>('GET', `/events?n=${n}${older === undefined ? '' : `&older=${encodeURIComponent(older)}`}`),
	logs: (name: string, n: number) => call<{ lines: LogLine[] }>('GET', `/logs?name=${encodeURIComponent(name)}&n=${n}`),
	modules: () => call<Modules>('GET', '/modules'),
	history: (seconds: number, points: number, series?: string) => call<History>('GET', `/history?seconds=${seconds}&points=${points}${series === undefined ? '' : `&series=${encodeURIComponent(series)}`}`),
	metrics: (commands: number) => call<Sample>('GET', `/metrics?commands=${commands}`),
	plan: (to?: string) => call<Plan>('GET', `/failover${to === undefined ? '' : `?to=${encodeURIComponent(to)}`}`),
	failover: (to?: string) => call<Done>('POST', '/failover', to === undefined ? {} : { to }, 190000),
	act: (name: string, action: 'start' | 'stop' | 'restart') => call<Done>('POST', `/instances/${encodeURIComponent(name)}/${action}`, undefined, 310000),
	rolling: () => call<Done>('POST', '/restart', { rolling: true }),
};

// Server-sent events of one kind of stream; the handler gets what JSON.parse makes of the data. Returns how to end it.
export function stream(path: string, handlers: Record<string, (data: never) => void>, onDown?: () => void): () => void {
	const source = new EventSource(`/api/v1${path}`);
	for (const [name, f] of Object.entries(handlers)) {
		source.addEventListener(name, e => {
			try {
				(f as (data: unknown) => void)(JSON.parse((e as MessageEvent<string>).data));
			} catch (x) {
				console.error('a stream sent what is not understood', name, x);
			}
		});
	}
	source.onerror = () => onDown?.();
	return () => source.close();
}
