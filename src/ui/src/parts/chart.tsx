// uPlot in the page's own clothes: gaps stay gaps, changes of the master are marked, cursors of all charts go together.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { Mark } from '../api/types';
import { bounds, moment, tick } from '../core/series';
import { themeTurned } from '../state';

export interface Line {
	name: string;
	color: string; // a custom property: --c1
	values: (number | null)[];
	dash?: number[];
	fill?: boolean;
}

interface Props {
	title: string;
	t: number[];
	lines: Line[];
	marks?: Mark[];
	format: (v: number | null) => string;
	height?: number;
	range: [number, number] | null;
	least?: number; // the top of the scale is at least this
	sync?: string;
	binary?: boolean; // bytes: the scale goes in powers of two
}

const probe = document.createElement('i');
export function color(name: string): string {
	probe.style.color = `var(${name})`;
	if (!probe.isConnected) {
		probe.className = 'unseen';
		probe.setAttribute('aria-hidden', 'true');
		document.body.append(probe);
	}
	return getComputedStyle(probe).color;
}

const POWERS = Array.from({ length: 50 }, (_, i) => 2 ** i);
const DASHES = [[], [6, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2]];

// A value between two gaps is no line: it gets a point.
function alone(u: uPlot, series: number): number[] {
	const v = u.data[series]!;
	const out: number[] = [];
	for (let i = 0; i < v.length; i++) {
		if (v[i] != null && v[i - 1] == null && v[i + 1] == null) {
			out.push(i);
		}
	}
	return out;
}

export function Chart(p: Props): JSX.Element {
	const box = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const legend = useRef<HTMLDivElement>(null);
	const props = useRef(p);
	props.current = p;
	const shape = `${p.lines.map(l => l.name + l.color).join()}|${themeTurned.value}|${p.height}`;

	useEffect(() => {
		const el = box.current;
		if (!el) {
			return;
		}
		const grid = color('--line');
		const ink = color('--ink-2');
		const markInk = color('--warn');
		const font = getComputedStyle(document.body).fontFamily;
		const show = (u: uPlot) => {
			const idx = u.cursor.idx;
			const now = props.current;
			const at = idx ?? now.t.length - 1;
			const kids = legend.current?.children;
			now.lines.forEach((l, i) => {
				const out = kids?.[i]?.querySelector('b');
				if (out) {
					out.textContent = now.format(l.values[at] ?? null);
				}
			});
			const time = legend.current?.parentElement?.querySelector('time');
			if (time) {
				const s = now.t[at];
				const near = idx !== null && idx !== undefined && s !== undefined ? now.marks?.find(m => Math.abs(u.valToPos(m.t, 'x') - (u.cursor.left ?? 0)) < 8) : undefined;
				time.textContent = idx === null || idx === undefined || s === undefined ? '' : near ? `${near.subject}: ${near.text}` : moment(s, now.t[now.t.length - 1]! - now.t[0]!);
			}
		};
		const u = new uPlot({
			width: Math.max(200, el.clientWidth), height: p.height ?? 150,
			padding: [8, 20, 0, 0], // half a label of the time goes beyond the last point
			legend: { show: false },
			cursor: { y: false, points: { size: 6 }, sync: p.sync ? { key: p.sync } : undefined, drag: { x: false, y: false } },
			scales: {
				x: { time: true, range: (_u, lo, hi) => props.current.range ?? (lo < hi ? [lo, hi] : [lo - 1, lo + 1]) },
				y: { range: (_u, lo, hi) => bounds(lo, hi, props.current.least ?? 0) },
			},
			axes: [
				{ stroke: ink, font: `11px ${font}`, grid: { show: false }, ticks: { stroke: grid, size: 4, width: 1 }, size: 24, space: 70, values: (_u, vs, _a, _s, incr) => vs.map(v => tick(v, incr)) },
				{ stroke: ink, font: `11px ${font}`, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 58, space: 34, ...(p.binary ? { incrs: POWERS } : {}), values: (_u, vs) => vs.map(v => props.current.format(v)) },
			],
			series: [{}, ...p.lines.map((l, i) => ({ label: l.name, stroke: color(l.color), width: 1.5, dash: l.dash ?? DASHES[i % DASHES.length], fill: l.fill ? color(`${l.color}-fill`) : undefined, points: { show: true, size: 4, filter: alone }, spanGaps: false }))],
			hooks: {
				setCursor: [show],
				draw: [x => {
					for (const m of props.current.marks ?? []) {
						const px = Math.round(x.valToPos(m.t, 'x', true)) + 0.5;
						if (px < x.bbox.left || px > x.bbox.left + x.bbox.width) {
							continue;
						}
						const c = x.ctx;
						c.save();
						c.strokeStyle = markInk;
						c.fillStyle = markInk;
						c.lineWidth = devicePixelRatio;
						c.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
						c.beginPath();
						c.moveTo(px, x.bbox.top);
						c.lineTo(px, x.bbox.top + x.bbox.height);
						c.stroke();
						c.beginPath();
						c.moveTo(px - 4 * devicePixelRatio, x.bbox.top);
						c.lineTo(px + 4 * devicePixelRatio, x.bbox.top);
						c.lineTo(px, x.bbox.top + 6 * devicePixelRatio);
						c.fill();
						c.restore();
					}
				}],
			},
		}, [p.t, ...p.lines.map(l => l.values)] as uPlot.AlignedData, el);
		plot.current = u;
		show(u);
		const o = new ResizeObserver(() => u.setSize({ width: Math.max(200, el.clientWidth), height: props.current.height ?? 150 }));
		o.observe(el);
		return () => {
			o.disconnect();
			u.destroy();
			plot.current = null;
		};
	}, [shape]);
	useEffect(() => {
		plot.current?.setData([p.t, ...p.lines.map(l => l.values)] as uPlot.AlignedData);
		const u = plot.current;
		if (u) {
			for (const f of u.hooks.setCursor ?? []) {
				f?.(u);
			}
		}
	}, [p.t, p.lines, p.range]);
	const last = p.lines.map(l => `${l.name} ${p.format(l.values[l.values.length - 1] ?? null)}`).join(', ');
	return (
		<figure class="chart" aria-label={`${p.title}: ${last}`}>
			<figcaption><span class="chart-name">{p.title}</span><time /></figcaption>
			<div ref={box} class="chart-box" style={{ height: `${p.height ?? 150}px` }} aria-hidden="true" />
			<div ref={legend} class="legend" aria-hidden="true">
				{p.lines.map((l, i) => <span key={l.name}><Dash line={l} i={i} />{l.name} <b class="tab" /></span>)}
			</div>
		</figure>
	);
}

function Dash({ line, i }: { line: Line; i: number }): JSX.Element {
	return <svg class="dash" viewBox="0 0 18 4" aria-hidden="true" style={{ color: `var(${line.color})` }}><path d="M0 2h18" stroke="currentColor" stroke-width="2" fill="none" stroke-dasharray={(line.dash ?? DASHES[i % DASHES.length] ?? []).join(' ')} /></svg>;
}

export function Spark({ values, label }: { values: (number | null)[]; label: string }): JSX.Element {
	const w = 72;
	const h = 18;
	const top = Math.max(1e-9, ...values.map(v => v ?? 0));
	let d = '';
	let pen = false;
	values.forEach((v, i) => {
		if (v === null || !Number.isFinite(v)) {
			pen = false;
			return;
		}
		const x = values.length < 2 ? w : (i / (values.length - 1)) * w;
		d += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${(h - 1.5 - (v / top) * (h - 3)).toFixed(1)}`;
		pen = true;
	});
	return <svg class="spark" viewBox={`0 0 ${w} ${h}`} role="img" aria-label={label}><path d={d} /></svg>;
}
