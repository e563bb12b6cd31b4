// What /api/v1 answers, as its OpenAPI file says (etc/openapi.json).
import type { Bin } from '../core/bin';

export interface Instance {
	name: string;
	kind: 'redis' | 'sentinel' | 'proxy' | 'http';
	state: 'stopped' | 'starting' | 'ready' | 'stopping' | 'failed' | 'adopted' | 'unknown';
	wanted: 'up' | 'down';
	pid: number | null;
	port: number;
	role: 'master' | 'replica' | null;
	restarts: number;
	uptime_ms: number;
	lag_bytes: number | null;
	modules: unknown[];
	host?: string;
	listen?: string[];
	note?: string;
	stats?: { clients?: { now?: number }; backend?: Record<string, number> };
	sees?: string; // sentinel of another host: who is master, …
	epoch?: number; // … and since which epoch
	node?: string; // set by everyone(): its host, …
	remote?: boolean; // … which is another one
}

export interface Host {
	name: string;
	address: string;
	self: boolean;
	reachable: boolean;
	master: boolean;
	silent_ms?: number;
	supervised?: boolean;
	heard_ms?: number;
	state?: Status['state'] | null;
	reasons?: string[];
	version?: string;
	instances?: Instance[];
}

export interface Status {
	name: string;
	node: string;
	version: string;
	state: 'starting' | 'ready' | 'degraded' | 'stopping';
	master: { name: string | null; host: string; port: number; epoch: number } | null;
	instances: Instance[];
	reasons?: string[];
	hosts?: Host[]; // several hosts
	doors?: Record<string, { node: string; at: string }[]>; // where clients connect, on all hosts
	time: number; // when it was so, in seconds since 1970
	uptime_ms: number;
}

export interface Event {
	id: number;
	host: string;
	time: string;
	kind: string;
	subject: string;
	text: string;
	detail: Record<string, unknown>;
}

export interface Events {
	events: Event[];
	more: boolean;
	older: string;
	newer: string;
	missing: { host: string; why: string }[];
}

export interface CommandFigures {
	name: string;
	calls: number;
	errors: number;
	per_s: number | null;
	mean_us: number | null;
	p50_us: number | null;
	p99_us: number | null;
	held: number;
}

export interface Sample {
	time: number;
	figures: Record<string, number | null>;
	commands: CommandFigures[];
}

export interface Mark {
	t: number;
	id: number;
	kind: string;
	subject: string;
	text: string;
}

export interface History {
	step_s: number;
	t: number[];
	series: Record<string, (number | null)[]>;
	marks: Mark[];
}

export interface Session {
	user: string | null;
	role: 'operator' | 'viewer' | null;
	login: boolean;
	expires_s: number | null;
	cluster: string;
	node: string;
	version: string;
	writable: boolean;
}

export interface Plan {
	master: string | null;
	to: string | null;
	why: string;
	candidates: { name: string; fit: boolean; why: string; offset: number | null; lag_bytes: number | null; priority: number | null }[];
}

export interface LogLine {
	name: string;
	line: string;
}

export interface Modules {
	catalogue: { name: string; title: string; status: string; note: string | null; found: string[]; list_names: string[] }[];
	wanted: unknown[];
	instances: { name: string; state: string; master: boolean; known: boolean; modules: { name: string; version?: number | string; ver?: number; probe?: unknown; ok?: boolean }[]; fault: string | null; differs: string | null }[];
	why: string | null;
}

export interface MonitorLine {
	time: number;
	db: number;
	client: string;
	command: Bin[];
}

export interface Done {
	ok: true;
	text?: string;
}
