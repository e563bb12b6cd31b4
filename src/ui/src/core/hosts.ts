// Several hosts as one picture: the instances of all, under names that say where; whose events are whose, and where a list of them ends.
import type { Event, Host, Instance, Status } from '../api/types';

// All instances. Those of another host are called "b/redis-1", which is how they are asked for; what is not known of them is left empty.
export function everyone(s: Status): Instance[] {
	const others = (s.hosts ?? []).filter(h => !h.self).flatMap(h => (h.instances ?? []).map((i): Instance => ({
		...i, name: `${h.name}/${i.name}`, node: h.name, remote: true, wanted: i.wanted ?? 'up', pid: i.pid ?? null, role: i.role ?? null,
		restarts: i.restarts ?? 0, uptime_ms: i.uptime_ms ?? 0, lag_bytes: i.lag_bytes ?? null, modules: i.modules ?? [],
	})));
	return [...s.instances.map(i => ({ ...i, node: s.node })), ...others];
}

// As people read it: with several hosts, our own with our host's name, too.
export function label(s: Status, i: Instance): string {
	return several(s) && !i.remote ? `${s.node}/${i.name}` : i.name;
}

export function masterName(s: Status): string {
	const name = s.master?.name;
	return !name ? `${s.master?.host}:${s.master?.port}` : several(s) && !name.includes('/') ? `${s.node}/${name}` : name;
}

export function several(s: Status): boolean {
	return (s.hosts ?? []).length > 1;
}

// The host itself, as one word and in full.
export function hostState(h: Host): { grade: 'good' | 'warn' | 'bad'; word: string; why: string } {
	if (!h.self && !h.reachable) {
		return { grade: 'bad', word: 'cannot be reached', why: 'Nothing is heard of its server and its sentinel.' };
	}
	if (!h.self && h.supervised === false) {
		return { grade: 'warn', word: 'no supervisor', why: 'Its supervisor is not heard; its server or its sentinel is.' };
	}
	if (!h.self && h.state !== 'ready') {
		return { grade: 'warn', word: h.state ?? 'not known', why: (h.reasons ?? []).join(' · ') };
	}
	return { grade: 'good', word: h.self ? 'this host' : 'ready', why: '' };
}

export function keyOf(e: Event): string {
	return `${e.host}:${e.id}`;
}

// Newest first; those of one host in the order of its ids, also where its clock was set back: merged, for that is no order to sort by.
export function newestFirst(list: Event[]): Event[] {
	const lists = [...new Set(list.map(e => e.host))].sort().map(h => list.filter(e => e.host === h).sort((a, b) => a.id - b.id));
	return list.map(() => {
		let best: Event[] = [];
		for (const l of lists) {
			const last = l[l.length - 1];
			if (last && (best.length === 0 || last.time > best[best.length - 1]!.time)) {
				best = l;
			}
		}
		return best.pop()!;
	});
}

// The place before everything in the list; `older` is that of an answer, for hosts without an event in it.
export function placeBefore(list: Event[], older: string): string {
	const ids = new Map<string, number>();
	for (const item of older.split(',')) {
		const colon = item.lastIndexOf(':');
		if (colon > 0) {
			ids.set(item.slice(0, colon), Number(item.slice(colon + 1)));
		}
	}
	const first = new Map<string, number>();
	for (const e of list) {
		first.set(e.host, Math.min(e.id, first.get(e.host) ?? e.id));
	}
	for (const [host, id] of first) {
		ids.set(host, id);
	}
	return [...ids].map(([host, id]) => `${host}:${id}`).join(',');
}
