// The one sentence at the top: is all well; if not, what is wrong and what to do.
import type { Instance, Sample, Status } from '../api/types';
import { bytes, clock, plural } from './format';
import { everyone, hostState, label, masterName, several } from './hosts';

export type Grade = 'good' | 'warn' | 'bad' | 'unknown';

export interface Health {
	grade: Grade;
	word: string; // one word beside the mark, so that colour is not needed
	sentence: string;
	advice: string;
}

const FAR_BEHIND = 16 * 1024 * 1024; // a second of many writes is less

// A status comes when something has changed; what moves all the time is brought up to date with each sample.
export function renewed(s: Status, sample: Sample): Status {
	const later = Math.max(0, sample.time - s.time) * 1000;
	return {
		...s, time: Math.max(s.time, sample.time), uptime_ms: s.uptime_ms + later,
		instances: s.instances.map(i => {
			const lag = sample.figures[`${i.name}.lag_bytes`];
			return { ...i, uptime_ms: i.pid === null ? i.uptime_ms : i.uptime_ms + later, lag_bytes: i.role === 'replica' && lag !== undefined ? lag : i.lag_bytes };
		}),
	};
}

export function health(s: Status | null, offline: string | null): Health {
	if (offline !== null) {
		return { grade: 'unknown', word: 'no contact', sentence: s === null ? 'No contact with Holdfast' : `No contact with Holdfast: what you see is of ${clock(new Date(s.time * 1000))}`, advice: `${ended(offline)} Servers and clients may well go on: \`holdfast status\` on the host says more.` };
	}
	if (s === null) {
		return { grade: 'unknown', word: 'loading', sentence: 'Asking for the state', advice: '' };
	}
	const all = everyone(s);
	const hosts = s.hosts ?? [];
	const gone = hosts.filter(h => !h.self && !h.reachable);
	const redis = all.filter(i => i.kind === 'redis');
	const up = redis.filter(i => i.state === 'ready');
	const replicas = up.filter(i => i.role === 'replica');
	const wanted = redis.filter(i => i.wanted === 'up');
	if (s.state === 'stopping') {
		return { grade: 'bad', word: 'stopping', sentence: 'Holdfast is stopping everything in order', advice: 'The next `holdfast run` resumes with the same master.' };
	}
	if (hosts.length > 0 && hosts.length - gone.length <= hosts.length / 2) {
		return { grade: 'bad', word: 'alone', sentence: `This host hears ${hosts.length - gone.length} of ${hosts.length} hosts, itself included: it takes no writes`, advice: 'The others may have another master by now: look at the page of one of them.' };
	}
	const down = all.filter(i => i.wanted === 'up' && (i.state === 'failed' || i.state === 'stopped'));
	if (s.master?.name == null && !s.master) {
		return { grade: 'bad', word: s.state === 'starting' ? 'starting' : 'no master', sentence: s.state === 'starting' ? 'Starting: no server takes writes yet' : 'No server takes writes', advice: `${said(s.reasons ?? [])} Writes wait at the proxy for a while. The logs of the servers below say why.`.trim() };
	}
	const who = masterName(s);
	if (s.state === 'ready') {
		if (redis.length === 1) {
			return { grade: 'warn', word: 'single', sentence: `${who} takes writes; there is no replica`, advice: 'One server only: if it dies, its data is as old as its append-only file. redis.instances = 3 brings replicas.' };
		}
		const off = redis.filter(i => i.wanted === 'down');
		if (off.length > 0) {
			return { grade: 'warn', word: 'reduced', sentence: `Writes are safe on ${plural(up.length, 'server')}; ${names(s, off)} ${off.length === 1 ? 'is' : 'are'} stopped by hand`, advice: `Start ${off.length === 1 ? 'it' : 'them'} again when the work is done.` };
		}
		const ill = hosts.filter(h => hostState(h).grade !== 'good');
		if (ill.length > 0) {
			return { grade: 'warn', word: 'reduced', sentence: `Writes are safe on ${plural(up.length, 'server')}; host ${ill[0]!.name}: ${hostState(ill[0]!).word}`, advice: ill.map(h => hostState(h).why).filter(x => x !== '').join(' · ') };
		}
		const lag = Math.max(0, ...replicas.map(r => r.lag_bytes ?? 0));
		if (lag >= FAR_BEHIND) {
			const late = replicas.filter(r => (r.lag_bytes ?? 0) >= FAR_BEHIND);
			return { grade: 'warn', word: 'behind', sentence: `${who} takes writes; ${names(s, late)} ${late.length === 1 ? 'is' : 'are'} ${bytes(lag)} behind`, advice: 'What no replica has is lost should the master die now. If it lasts: is the network or the disk there slow? proxy.durability = 1 has each write wait for a replica.' };
		}
		return { grade: 'good', word: 'ready', sentence: `All writes safe on ${plural(up.length, 'server')}${several(s) ? `, ${plural(hosts.length, 'host')}` : ''}`, advice: `${who} is master; ${lag === 0 ? 'replicas are in step' : `the replica furthest behind lacks ${bytes(lag)}`}.` };
	}
	const bad = s.state !== 'starting' && up.every(i => i.role !== 'master');
	if (bad) {
		const next = replicas.length > 0 ? 'A replica takes over by itself if one is fit' : 'No replica is ready to take over; what is down is started again by itself';
		return { grade: 'bad', word: 'no master', sentence: `${who} does not take writes`, advice: `${next}; writes wait at the proxy for a while. ${said(s.reasons ?? [])}`.trim() };
	}
	if (gone.length > 0) {
		return { grade: 'warn', word: 'degraded', sentence: `${who} takes writes, but host ${gone.map(h => h.name).join(' and ')} cannot be reached`, advice: `${plural(replicas.length, 'replica')} ${replicas.length === 1 ? 'is' : 'are'} left. What is known of that host is old; events of it are missing.` };
	}
	if (down.length > 0) {
		return { grade: 'warn', word: 'degraded', sentence: `${who} takes writes, but ${names(s, down)} ${down.length === 1 ? 'is' : 'are'} down${replicas.length === 0 ? ' and no replica is left' : ''}`, advice: down.some(i => i.state === 'failed') ? `Its log says why; start ${down.length === 1 ? 'it' : 'them'} again when that is mended.` : 'Being brought back by itself.' };
	}
	const busy = wanted.filter(i => i.state !== 'ready');
	const why = s.reasons?.[0] ?? (busy.length > 0 ? `${names(s, busy)} ${busy.length === 1 ? 'is' : 'are'} not ready yet` : 'not everything is ready');
	// what a replica lacks it fetches, what died is started again: a person is needed when that does not end
	const help = 'What is started or copied gets ready by itself; if it lasts, the log of that process says why.';
	return { grade: 'warn', word: s.state, sentence: `${who} takes writes; ${why}`, advice: `${said((s.reasons ?? []).slice(1))} ${help}`.trim() };
}

const ended = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

// Reasons as sentences; names stay as they are.
const said = (reasons: string[]): string => (reasons.length === 0 ? '' : ended(reasons.join('; ')));

function names(s: Status, list: Instance[]): string {
	const n = list.map(i => label(s, i));
	return n.length <= 1 ? (n[0] ?? '') : `${n.slice(0, -1).join(', ')} and ${n[n.length - 1]}`;
}
