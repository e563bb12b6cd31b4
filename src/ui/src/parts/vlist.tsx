// The box of core/vlist.ts: only rows in view are in the document; wheel, keys and the bar move it.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { barFor, barHeight, type ListSize, reveal, scrolled, windowOf } from '../core/vlist';

interface Props {
	rows: number;
	row: number; // pixels
	label: string;
	render: (index: number, current: boolean) => ComponentChildren;
	onOpen?: (index: number) => void;
	onFold?: (index: number, open: boolean) => void;
	onWindow?: (first: number, count: number) => void;
	current: number;
	onCurrent: (index: number) => void;
	resetKey?: unknown; // another one starts at the top
	role?: 'listbox' | 'tree';
}

export function VList(p: Props): JSX.Element {
	const box = useRef<HTMLDivElement>(null);
	const [view, setView] = useState(600);
	const [top, setTop] = useState(0);
	const pos = useRef({ top: 0, bar: 0 });
	const settle = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
	const size: ListSize = { rows: p.rows, row: p.row, view };

	useLayoutEffect(() => {
		const el = box.current;
		if (!el) {
			return;
		}
		const o = new ResizeObserver(() => setView(el.clientHeight || 600));
		o.observe(el);
		setView(el.clientHeight || 600);
		return () => o.disconnect();
	}, []);
	const to = (y: number) => {
		pos.current = { top: y, bar: barFor(y, size) };
		if (box.current) {
			box.current.scrollTop = pos.current.bar;
			pos.current.bar = box.current.scrollTop;
		}
		setTop(y);
	};
	useEffect(() => to(0), [p.resetKey]);
	const w = windowOf(Math.min(top, Math.max(0, p.rows * p.row - view)), size);
	useEffect(() => p.onWindow?.(w.first, w.count), [w.first, w.count, p.rows, p.resetKey]);

	const onScroll = () => {
		const bar = box.current?.scrollTop ?? 0;
		if (Math.abs(bar - pos.current.bar) < 0.5) {
			return;
		}
		pos.current = scrolled(pos.current, bar, size);
		setTop(pos.current.top);
		// After a while of fine steps the bar may not be where the list is; put it there when nobody moves it.
		clearTimeout(settle.current);
		settle.current = setTimeout(() => {
			const want = barFor(pos.current.top, size);
			if (box.current && Math.abs(want - box.current.scrollTop) > 1 && pos.current.top > 0) {
				box.current.scrollTop = want;
				pos.current.bar = box.current.scrollTop;
			}
		}, 200);
	};
	const onKeyDown = (e: KeyboardEvent) => {
		const page = Math.max(1, Math.floor(view / p.row) - 1);
		const moves: Record<string, number> = { ArrowDown: p.current + 1, ArrowUp: p.current - 1, PageDown: p.current + page, PageUp: p.current - page, Home: 0, End: p.rows - 1 };
		if (e.key in moves && p.rows > 0) {
			e.preventDefault();
			const next = Math.max(0, Math.min(p.rows - 1, moves[e.key]!));
			p.onCurrent(next);
			const y = reveal(next, pos.current.top, size);
			if (y !== pos.current.top) {
				to(y);
			}
		} else if ((e.key === 'Enter' || e.key === ' ') && p.current >= 0) {
			e.preventDefault();
			p.onOpen?.(p.current);
		} else if ((e.key === 'ArrowRight' || e.key === 'ArrowLeft') && p.onFold && p.current >= 0) {
			e.preventDefault();
			p.onFold(p.current, e.key === 'ArrowRight');
		}
	};
	const items: ComponentChildren[] = [];
	for (let i = w.first; i < w.first + w.count; i++) {
		const at = i;
		items.push(
			<div key={i} id={`v${i}`} class={`v-row${i === p.current ? ' current' : ''}`} role={p.role === 'tree' ? 'treeitem' : 'option'} aria-selected={i === p.current} aria-setsize={p.rows} aria-posinset={i + 1} style={{ height: `${p.row}px` }}
				onClick={() => { p.onCurrent(at); p.onOpen?.(at); }}>
				{p.render(i, i === p.current)}
			</div>);
	}
	return (
		<div ref={box} class="vlist" tabIndex={0} role={p.role ?? 'listbox'} aria-label={p.label} aria-activedescendant={p.current >= w.first && p.current < w.first + w.count ? `v${p.current}` : undefined} onScroll={onScroll} onKeyDown={onKeyDown}>
			<div class="v-full" style={{ height: `${barHeight(size)}px` }}>
				<div class="v-view" style={{ height: `${view}px` }}><div class="v-rows" style={{ transform: `translateY(${w.offset}px)` }}>{items}</div></div>
			</div>
		</div>
	);
}
