// COMMAND DOCS as what the console needs: a summary and a line of syntax for each command, and what to complete.
import { fieldsOf, listOf, pairsOf, type Reply, textOf } from './reply';

export interface CommandDoc {
	name: string; // upper case, with its subcommand: CONFIG GET
	summary: string;
	syntax: string;
	since: string;
	group: string;
	complexity: string;
	tokens: string[]; // words of the syntax that can be completed
}

function flags(r: Reply | undefined): Set<string> {
	return new Set(listOf(r).map(textOf));
}

function argument(r: Reply, tokens: Set<string>): string {
	const f = fieldsOf(r);
	const flag = flags(f.flags);
	const type = textOf(f.type);
	const token = textOf(f.token);
	let text: string;
	if (type === 'pure-token') {
		text = token;
	} else if (type === 'oneof') {
		text = listOf(f.arguments).map(a => argument(a, tokens)).join(' | ');
		if (!flag.has('optional')) {
			text = `<${text}>`;
		}
	} else if (type === 'block') {
		text = listOf(f.arguments).map(a => argument(a, tokens)).join(' ');
	} else {
		text = textOf(f.display_text) || textOf(f.name);
	}
	if (token !== '') {
		tokens.add(token);
		if (type !== 'pure-token') {
			text = `${token} ${text}`;
		}
	}
	if (flag.has('multiple')) {
		text = flag.has('multiple_token') && token !== '' ? `${text} [${text} …]` : `${text} [${token === '' ? text : text.replace(`${token} `, '')} …]`;
	}
	return flag.has('optional') ? `[${text}]` : text;
}

export function readDocs(reply: Reply): Map<string, CommandDoc> {
	const out = new Map<string, CommandDoc>();
	const take = (name: string, doc: Reply): void => {
		const f = fieldsOf(doc);
		const subs = pairsOf(f.subcommands);
		for (const [n, d] of subs) {
			take(textOf(n).replace('|', ' '), d);
		}
		if (subs.length > 0) {
			return;
		}
		const tokens = new Set<string>();
		const args = listOf(f.arguments).map(a => argument(a, tokens)).join(' ');
		const upper = name.toUpperCase();
		out.set(upper, {
			name: upper, summary: textOf(f.summary), syntax: args === '' ? upper : `${upper} ${args}`, since: textOf(f.since),
			group: textOf(f.group), complexity: textOf(f.complexity), tokens: [...tokens].filter(t => t !== '' && t !== '""'),
		});
	};
	for (const [name, doc] of pairsOf(reply)) {
		take(textOf(name), doc);
	}
	return out;
}

// For servers before 7.0, which only have COMMAND: names and how many arguments.
export function readCommands(reply: Reply): Map<string, CommandDoc> {
	const out = new Map<string, CommandDoc>();
	for (const c of listOf(reply)) {
		const [name, arity] = listOf(c);
		const n = textOf(name).toUpperCase();
		const a = typeof arity === 'number' ? arity : 0;
		out.set(n, { name: n, summary: '', syntax: `${n}${' arg'.repeat(Math.max(0, Math.abs(a) - 1))}${a < 0 ? ' [arg …]' : ''}`, since: '', group: '', complexity: '', tokens: [] });
	}
	return out;
}

// The command that a line begins with: two words where there are subcommands.
export function docOf(docs: Map<string, CommandDoc>, words: string[]): CommandDoc | null {
	const two = words.length > 1 ? docs.get(`${words[0]} ${words[1]}`.toUpperCase()) : undefined;
	return two ?? (words[0] ? docs.get(words[0].toUpperCase()) : undefined) ?? null;
}

// What may stand at the end of the line instead of its last word.
export function complete(docs: Map<string, CommandDoc>, words: string[], open: boolean, limit = 8): string[] {
	const last = open ? (words[words.length - 1] ?? '') : '';
	const before = open ? words.slice(0, -1) : words;
	const low = last.toUpperCase();
	if (before.length === 0) {
		const names = new Set([...docs.keys()].map(k => k.split(' ')[0]!));
		return low === '' ? [] : [...names].filter(n => n.startsWith(low) && n !== low).sort().slice(0, limit);
	}
	if (before.length === 1) {
		const lead = `${before[0]!.toUpperCase()} `;
		const subs = [...docs.keys()].filter(k => k.startsWith(lead)).map(k => k.slice(lead.length));
		if (subs.length > 0) {
			return subs.filter(n => n.startsWith(low) && n !== low).sort().slice(0, limit);
		}
	}
	const doc = docOf(docs, before);
	return !doc || low === '' ? [] : doc.tokens.filter(t => t.startsWith(low) && t !== low).slice(0, limit);
}
