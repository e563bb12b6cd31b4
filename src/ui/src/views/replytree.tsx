// A reply as a tree that opens and closes; long ones are cut, and say so.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { type Reply, replyRows } from '../core/reply';
import { Button, Icon } from '../parts/parts';

const LINES = 200;

export function ReplyTree({ reply }: { reply: Reply }): JSX.Element {
	const [flipped, setFlipped] = useState<Set<string>>(new Set());
	const [limit, setLimit] = useState(LINES);
	const closed = (path: string, depth: number) => (depth >= 3) !== flipped.has(path);
	const { rows, cut } = replyRows(reply, closed, limit);
	const flip = (path: string) => {
		const s = new Set(flipped);
		if (s.has(path)) {
			s.delete(path);
		} else {
			s.add(path);
		}
		setFlipped(s);
	};
	return (
		<div class="resp">
			{rows.map(r => (
				<div key={r.path} class="resp-row" style={{ paddingLeft: `${Math.max(0, r.depth - 1) * 18}px` }}>
					{r.label !== '' && <span class="label" title={r.label}>{r.label}</span>}
					{r.children > 0
						? <button type="button" class={`r-${r.kind}`} aria-expanded={!closed(r.path, r.depth)} onClick={() => flip(r.path)}><Icon name={closed(r.path, r.depth) ? 'right' : 'down'} />{r.kind} of {r.children}</button>
						: <span class={`r-${r.kind}`}>{r.text.length > 4000 ? `${r.text.slice(0, 4000)}… ${r.text.length} characters` : r.text === '' && r.kind === 'text' ? '""' : r.text}</span>}
				</div>))}
			{cut && <Button kind="quiet" onClick={() => setLimit(limit * 5)}>More</Button>}
		</div>
	);
}
