// The walk through the keys: SCAN in small steps, so that the server is never held up, with a stop at any time.
import { signal } from '@preact/signals';
import { errorOf, listOf, binOf, numberOf, textOf } from '../core/reply';
import { globEscape } from '../core/words';
import { KeyStore } from '../core/keystore';
import { run } from '../api/client';
import { say } from '../state';

export interface Wanted {
	db: number;
	match: string; // as typed
	type: string; // '' all
}

export const COUNT = 1000; // keys that the server looks at in one step: well below a millisecond of its time
const FIRST = 2000; // found at first; more is a click
const STEPS = 20; // looked at at first: so many times COUNT; more where a pattern leaves few of them
const STEPS_MATCH = 300;

// What was typed as a pattern of SCAN: text without a wildcard is looked for anywhere in the name.
export function patternOf(text: string): string {
	return text === '' ? '*' : /[*?[]/.test(text) ? text : `*${globEscape(text)}*`;
}

export const scan = {
	store: signal(new KeyStore()),
	version: signal(0), // counts up when keys came
	running: signal(false),
	done: signal(false),
	looked: signal(0),
	total: signal<number | null>(null),
	error: signal<string | null>(null),
	wanted: signal<Wanted | null>(null),
};

let cursor = '0';
let turn = 0;

export function stopScan(): void {
	turn++;
	scan.running.value = false;
}

export function beginScan(w: Wanted): void {
	stopScan();
	cursor = '0';
	scan.store.value = new KeyStore();
	scan.version.value++;
	scan.done.value = false;
	scan.looked.value = 0;
	scan.total.value = null;
	scan.error.value = null;
	scan.wanted.value = w;
	goOn(false, true);
}

export function goOn(all: boolean, fresh = false): void {
	const w = scan.wanted.value;
	if (!w || scan.done.value) {
		return;
	}
	const mine = ++turn;
	const store = scan.store.value;
	const until = all ? Number.POSITIVE_INFINITY : store.count + FIRST;
	let steps = all ? Number.POSITIVE_INFINITY : fresh && w.match === '' && w.type === '' ? STEPS : STEPS_MATCH;
	scan.running.value = true;
	scan.error.value = null;
	let shown = performance.now();
	const walk = async () => {
		if (fresh) {
			const exact = /[*?[]/.test(w.match) || w.match === '' ? [] : [['EXISTS', w.match]];
			const [size, exists] = await run([['DBSIZE'], ...exact], { db: w.db });
			if (mine !== turn) {
				return;
			}
			scan.total.value = numberOf(size);
			if (exists === 1 && w.type === '') {
				store.add(w.match);
				scan.version.value++;
			}
		}
		while (mine === turn && steps-- > 0) {
			const [r] = await run([['SCAN', cursor, 'MATCH', patternOf(w.match), 'COUNT', COUNT, ...(w.type === '' ? [] : ['TYPE', w.type])]], { db: w.db });
			if (mine !== turn) {
				return;
			}
			const e = errorOf(r);
			if (e !== null) {
				throw new Error(e);
			}
			const [next, keys] = listOf(r);
			for (const k of listOf(keys)) {
				store.add(binOf(k));
			}
			cursor = textOf(next);
			scan.looked.value += COUNT;
			if (cursor === '0' || store.full) {
				scan.done.value = cursor === '0';
				break;
			}
			if (store.count >= until) {
				break;
			}
			if (performance.now() - shown > 120) {
				shown = performance.now();
				scan.version.value++;
			}
		}
	};
	walk().catch(e => { if (mine === turn) { scan.error.value = say(e); } }).finally(() => {
		if (mine === turn) {
			scan.running.value = false;
			scan.version.value++;
		}
	});
}
