// What TS.INFO and TS.RANGE answer, in the forms of RESP2 and RESP3, as columns for a chart.
import { fieldsOf, listOf, numberOf, pairsOf, type Reply, textOf } from './reply';

export interface SeriesInfo {
	samples: number;
	first: number; // ms
	last: number;
	retention: number; // ms; 0: for ever
	labels: [string, string][];
}

export function seriesInfo(r: Reply): SeriesInfo {
	const f = fieldsOf(r);
	const n = (name: string) => numberOf(f[name]) ?? 0;
	return { samples: n('totalSamples'), first: n('firstTimestamp'), last: n('lastTimestamp'), retention: n('retentionTime'), labels: pairsOf(f.labels).map(([k, v]) => [textOf(k), textOf(v)]) };
}

export interface Question {
	from: number;
	to: number;
	bucket: number; // ms that one point stands for; 0: each sample is one
}

// At most some 2000 points: the server makes means of more.
export function seriesQuestion(i: SeriesInfo, span_ms: number): Question {
	const from = Math.max(i.first, i.last - span_ms);
	return { from, to: i.last, bucket: i.samples > 2000 ? Math.max(1, Math.ceil((i.last - from) / 1000)) : 0 };
}

export function seriesPoints(r: Reply): { t: number[]; v: (number | null)[] } {
	const rows = listOf(r).map(x => listOf(x));
	const finite = (x: number | null) => (x !== null && Number.isFinite(x) ? x : null); // NaN and infinity are gaps
	return { t: rows.map(x => (numberOf(x[0]) ?? 0) / 1000), v: rows.map(x => finite(numberOf(x[1]))) };
}
