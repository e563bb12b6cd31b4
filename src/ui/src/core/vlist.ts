// A list of any length in a box that scrolls. Browsers bound the height of an element (some at 17 million pixels), so
// beyond MAX_PX the bar moves in proportion, while wheel and keys move row by row: see `scrolled`.

export const MAX_PX = 8_000_000;

export interface ListState {
	top: number; // in pixels of the whole list, as if nothing were bounded
	bar: number; // scrollTop that goes with it
}

export interface ListSize {
	rows: number;
	row: number; // pixels
	view: number; // pixels
}

export function fullHeight(s: ListSize): number {
	return s.rows * s.row;
}

export function barHeight(s: ListSize): number {
	return Math.min(fullHeight(s), MAX_PX);
}

const clamp = (x: number, lo: number, hi: number) => Math.max(lo, Math.min(hi, x));

export function barFor(top: number, s: ListSize): number {
	const full = fullHeight(s) - s.view;
	const bar = barHeight(s) - s.view;
	return full <= 0 || bar <= 0 ? 0 : full === bar ? top : (top / full) * bar;
}

// The box says its scrollTop is now `bar`. A small step is a wheel or a key: the list moves by the same pixels. A big one is
// the thumb being dragged: the list goes to that share of itself.
export function scrolled(state: ListState, bar: number, s: ListSize): ListState {
	const full = Math.max(0, fullHeight(s) - s.view);
	const room = Math.max(0, barHeight(s) - s.view);
	if (full <= room) {
		return { top: clamp(bar, 0, full), bar };
	}
	if (bar <= 0) {
		return { top: 0, bar: 0 };
	}
	if (bar >= room - 1) {
		return { top: full, bar };
	}
	const step = bar - state.bar;
	const top = Math.abs(step) <= s.view ? state.top + step : (bar / room) * full;
	return { top: clamp(top, 0, full), bar };
}

export interface Window {
	first: number;
	count: number;
	offset: number; // pixels from the top of the view to the first row drawn
}

export function windowOf(top: number, s: ListSize, over = 6): Window {
	const first = clamp(Math.floor(top / s.row) - over, 0, Math.max(0, s.rows - 1));
	const last = clamp(Math.ceil((top + s.view) / s.row) + over, 0, s.rows);
	return { first, count: Math.max(0, last - first), offset: first * s.row - top };
}

// Where the list has to be so that this row is in view.
export function reveal(row: number, top: number, s: ListSize): number {
	const y = row * s.row;
	const full = Math.max(0, fullHeight(s) - s.view);
	return clamp(y < top ? y : y + s.row > top + s.view ? y + s.row - s.view : top, 0, full);
}
