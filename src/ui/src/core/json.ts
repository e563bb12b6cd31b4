// JSON as text: laid out anew without touching a token, so that 9007199254740993, 1.0 and the order of names stay as they are.

export interface Token {
	kind: 'key' | 'str' | 'num' | 'lit' | 'mark';
	text: string;
}

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:]/y;

// null: this is no JSON (JSON.parse has the last word).
export function tokens(text: string): Token[] | null {
	try {
		JSON.parse(text);
	} catch {
		return null;
	}
	const out: Token[] = [];
	TOKEN.lastIndex = 0;
	while (TOKEN.lastIndex < text.length) {
		const m = TOKEN.exec(text);
		if (!m) {
			return null;
		}
		const t = m[0];
		const c = t[0]!;
		if (/\s/.test(c)) {
			continue;
		}
		if (c === ':') {
			const last = out[out.length - 1];
			if (last?.kind === 'str') {
				last.kind = 'key';
			}
		}
		out.push({ kind: c === '"' ? 'str' : /[-\d]/.test(c) ? 'num' : /[tfn]/.test(c) ? 'lit' : 'mark', text: t });
	}
	return out;
}

// The same tokens, with white space of ours.
export function layOut(list: Token[], indent = '  '): Token[] {
	const out: Token[] = [];
	let depth = 0;
	const line = () => out.push({ kind: 'mark', text: `\n${indent.repeat(depth)}` });
	list.forEach((t, i) => {
		const next = list[i + 1]?.text;
		if (t.kind !== 'mark') {
			out.push(t);
			return;
		}
		switch (t.text) {
			case '{': case '[':
				out.push(t);
				depth++;
				if (next !== '}' && next !== ']') {
					line();
				}
				break;
			case '}': case ']': {
				depth--;
				const before = list[i - 1]?.text;
				if (before !== '{' && before !== '[') {
					line();
				}
				out.push(t);
				break;
			}
			case ',':
				out.push(t);
				line();
				break;
			default:
				out.push({ kind: 'mark', text: ': ' });
		}
	});
	return out;
}

export function pretty(text: string): string | null {
	const t = tokens(text);
	return t === null ? null : layOut(t).map(x => x.text).join('');
}

export function compact(text: string): string | null {
	const t = tokens(text);
	return t === null ? null : t.map(x => x.text).join('');
}
