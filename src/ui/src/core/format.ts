// Figures as people read them: few digits, a unit, the same width in a column. NONE stands for "not known".

export const NONE = '–';

const group = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export function whole(n: number | null | undefined): string {
	return n === null || n === undefined || !Number.isFinite(n) ? NONE : group.format(n);
}

function three(x: number): string {
	return x >= 99.95 ? x.toFixed(0) : x >= 9.995 ? x.toFixed(1) : x.toFixed(x === Math.round(x) ? 0 : 2);
}

// 1234 → 1.23 k
export function short(n: number | null | undefined): string {
	if (n === null || n === undefined || !Number.isFinite(n)) {
		return NONE;
	}
	const a = Math.abs(n);
	if (a < 1000) {
		return a === Math.round(a) || a >= 9.95 ? String(Math.round(n)) : three(a) === '0.00' ? '0' : (n < 0 ? '-' : '') + three(a);
	}
	const units = ['k', 'M', 'G', 'T', 'P'];
	let v = a;
	let i = -1;
	while (v >= 999.5 && i < units.length - 1) {
		v /= 1000;
		i++;
	}
	return `${n < 0 ? '-' : ''}${three(v)} ${units[i]}`;
}

export function bytes(n: number | null | undefined): string {
	if (n === null || n === undefined || !Number.isFinite(n)) {
		return NONE;
	}
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
	let v = Math.abs(n);
	let i = 0;
	while (v >= 1023.5 && i < units.length - 1) {
		v /= 1024;
		i++;
	}
	return `${n < 0 ? '-' : ''}${i === 0 ? Math.round(v) : three(v)} ${units[i]}`;
}

export function percent(part: number, all: number): string {
	if (all <= 0 || !Number.isFinite(part / all)) {
		return NONE;
	}
	const p = (part / all) * 100;
	return `${p >= 99.95 && p < 100 ? '>99.9' : p > 0 && p < 0.1 ? '<0.1' : p === 0 || p === 100 ? p.toFixed(0) : p.toFixed(1)} %`;
}

// Microseconds.
export function micros(us: number | null | undefined): string {
	if (us === null || us === undefined || !Number.isFinite(us)) {
		return NONE;
	}
	return us < 1000 ? `${us < 10 && us !== Math.round(us) ? us.toFixed(1) : Math.round(us)} µs` : us < 1e6 ? `${three(us / 1000)} ms` : `${three(us / 1e6)} s`;
}

// How long something lasts or has lasted: two units at most.
export function duration(ms: number | null | undefined): string {
	if (ms === null || ms === undefined || !Number.isFinite(ms)) {
		return NONE;
	}
	if (ms < 1000) {
		return `${ms < 10 && ms !== Math.round(ms) ? ms.toFixed(1) : Math.round(ms)} ms`;
	}
	const s = Math.floor(ms / 1000);
	if (s < 60) {
		return ms < 10000 && ms % 1000 !== 0 ? `${(ms / 1000).toFixed(1)} s` : `${s} s`;
	}
	const steps: [number, string, number, string][] = [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']];
	for (const [big, b, small, c] of steps) {
		if (s >= big) {
			const rest = Math.floor((s % big) / small);
			return rest > 0 ? `${Math.floor(s / big)} ${b} ${rest} ${c}` : `${Math.floor(s / big)} ${b}`;
		}
	}
	return `${s} s`;
}

// The same with one unit, for columns.
export function brief(ms: number): string {
	return duration(ms).split(' ').slice(0, 2).join(' ');
}

// Seconds or -1/-2 as TTL and HTTL answer them.
export function ttl(seconds: number | null | undefined): string {
	if (seconds === null || seconds === undefined) {
		return NONE;
	}
	return seconds === -1 ? 'never' : seconds < 0 ? 'gone' : duration(seconds * 1000);
}

export function clock(t: Date, ms = false): string {
	const p = (n: number, w = 2) => String(n).padStart(w, '0');
	return `${p(t.getHours())}:${p(t.getMinutes())}:${p(t.getSeconds())}${ms ? `.${p(t.getMilliseconds(), 3)}` : ''}`;
}

export function day(t: Date, now: Date): string {
	if (t.toDateString() === now.toDateString()) {
		return 'today';
	}
	const y = new Date(now);
	y.setDate(y.getDate() - 1);
	return t.toDateString() === y.toDateString() ? 'yesterday' : t.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: t.getFullYear() === now.getFullYear() ? undefined : 'numeric' });
}

// A time of the day, with the day unless that is today.
export function dated(t: Date, now: Date): string {
	const d = day(t, now);
	return d === 'today' ? clock(t) : `${d}, ${clock(t)}`;
}

export function ago(ms: number): string {
	return ms < 2000 ? 'now' : `${duration(ms < 60000 ? Math.floor(ms / 1000) * 1000 : Math.floor(ms / 60000) * 60000)} ago`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
	return `${whole(n)} ${n === 1 ? one : many}`;
}

export const NO_TIME = 'A time is a number above 0 with s, m, h, d or w behind it: 90s, 2h';

// '5', '90s', '15m', '2h', '1d' in seconds; null: not understood.
export function parseDuration(text: string): number | null {
	const m = /^\s*(\d{1,12})\s*(s|sec|m|min|h|d|w)?\s*$/i.exec(text);
	if (!m) {
		return null;
	}
	const unit = { s: 1, sec: 1, m: 60, min: 60, h: 3600, d: 86400, w: 604800 }[(m[2] ?? 's').toLowerCase()]!;
	return Number(m[1]) * unit;
}
