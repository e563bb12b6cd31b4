// History and the newest samples as columns of one time axis. Where a second is missing, the columns have a gap there.
import type { History, Sample } from '../api/types';

export interface Columns {
	t: number[];
	series: Record<string, (number | null)[]>;
}

// Adds a sample at the end; what is older than `seconds` goes. A pause longer than 2.5 steps becomes a null, so that no line is
// drawn over it.
export function append(c: Columns, s: Sample, seconds: number, step: number): Columns {
	const lastT = c.t[c.t.length - 1];
	if (lastT !== undefined && s.time <= lastT) {
		return c;
	}
	// A wide range has wide steps: finer samples take the place of the last one until its step is over.
	const beforeT = c.t[c.t.length - 2];
	const replace = step > 1 && lastT !== undefined && beforeT !== undefined && lastT - beforeT < step;
	const t = replace ? c.t.slice(0, -1) : c.t.slice();
	const gap = t.length > 0 && s.time - t[t.length - 1]! > step * 2.5 + 1;
	if (gap) {
		t.push(t[t.length - 1]! + step);
	}
	t.push(s.time);
	let drop = 0;
	while (drop < t.length && t[drop]! < s.time - seconds) {
		drop++;
	}
	const names = new Set([...Object.keys(c.series), ...Object.keys(s.figures)]);
	const series: Record<string, (number | null)[]> = {};
	for (const n of names) {
		const old = c.series[n];
		const col = old ? (replace ? old.slice(0, -1) : old.slice()) : Array.from({ length: t.length - 1 - (gap ? 1 : 0) }, () => null);
		if (gap) {
			col.push(null);
		}
		col.push(s.figures[n] ?? null);
		series[n] = drop > 0 ? col.slice(drop) : col;
	}
	return { t: drop > 0 ? t.slice(drop) : t, series };
}

// A history and the samples that came while it was on its way.
export function joined(h: History, samples: Sample[], seconds: number): Columns {
	return samples.reduce((c, s) => append(c, s, seconds, Math.max(h.step_s, 1)), fromHistory(h));
}

export function fromHistory(h: History): Columns {
	const t: number[] = [];
	const names = Object.keys(h.series);
	const series: Record<string, (number | null)[]> = {};
	for (const n of names) {
		series[n] = [];
	}
	h.t.forEach((x, i) => {
		const before = t[t.length - 1];
		if (before !== undefined && x - before > h.step_s * 2.5 + 1) {
			t.push(before + h.step_s);
			for (const n of names) {
				series[n]!.push(null);
			}
		}
		t.push(x);
		for (const n of names) {
			series[n]!.push(h.series[n]![i] ?? null);
		}
	});
	return { t, series };
}

export function column(c: Columns, name: string): (number | null)[] {
	return c.series[name] ?? c.t.map(() => null);
}

// a / (a + b) in percent, where there was anything.
export function rate(a: (number | null)[], b: (number | null)[]): (number | null)[] {
	return a.map((x, i) => {
		const y = b[i] ?? null;
		return x === null || y === null || x + y <= 0 ? null : (x / (x + y)) * 100;
	});
}

export function total(list: (number | null)[][], length: number): (number | null)[] {
	return Array.from({ length }, (_, i) => {
		let sum: number | null = null;
		for (const l of list) {
			const v = l[i];
			if (v !== null && v !== undefined) {
				sum = (sum ?? 0) + v;
			}
		}
		return sum;
	});
}

// From 0, or below it where values are; `least` is the top at least.
export function bounds(lo: number | null | undefined, hi: number | null | undefined, least: number): [number, number] {
	const top = Math.max(hi ?? 0, least);
	const bottom = Math.min(lo ?? 0, 0);
	return [bottom * 1.1, top > 0 ? top * 1.1 : bottom < 0 ? 0 : 1];
}

// Times of an axis: of each point as finely as they are apart, the day where hours do not tell them apart.
export function tick(s: number, apart_s: number): string {
	const d = new Date(s * 1000);
	return apart_s >= 86400 ? d.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) : d.toLocaleTimeString('en-GB', apart_s < 60 ? undefined : { hour: '2-digit', minute: '2-digit' });
}

export function moment(s: number, all_s: number): string {
	const d = new Date(s * 1000);
	return `${all_s > 86400 ? `${d.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })}, ` : ''}${d.toLocaleTimeString('en-GB')}`;
}

export function scale(list: (number | null)[], by: number): (number | null)[] {
	return list.map(v => (v === null ? null : v * by));
}
