// A command line as redis-cli reads it: words between spaces, "…" with escapes, '…' with only \' in it.
import { type Bin, unescape } from './bin';

export interface Words {
	words: Bin[];
	fault: string | null; // why it cannot be sent
	open: boolean; // the last word goes on (no space behind it): completion is about it
}

export function parseWords(line: string): Words {
	const words: Bin[] = [];
	let i = 0;
	const done = (fault: string | null, open: boolean): Words => ({ words, fault, open });
	for (;;) {
		while (i < line.length && /\s/.test(line[i]!)) {
			i++;
		}
		if (i >= line.length) {
			return done(null, false);
		}
		const q = line[i]!;
		if (q === '"' || q === "'") {
			let j = i + 1;
			while (j < line.length && line[j] !== q) {
				j += line[j] === '\\' && j + 1 < line.length ? 2 : 1;
			}
			if (j >= line.length) {
				return done(`a ${q === '"' ? 'double' : 'single'} quote is not closed`, true);
			}
			const inner = line.slice(i + 1, j);
			words.push(q === '"' ? unescape(inner) : inner.replace(/\\'/g, "'"));
			i = j + 1;
			if (i < line.length && !/\s/.test(line[i]!)) {
				return done('a space is missing behind a closing quote', true);
			}
		} else {
			let j = i;
			while (j < line.length && !/\s/.test(line[j]!)) {
				j++;
			}
			words.push(line.slice(i, j));
			i = j;
			if (i >= line.length) {
				return done(null, true);
			}
		}
	}
}

// Several commands: one a line; a line that begins with # is a comment.
export function parseLines(text: string): { line: string; words: Words }[] {
	return text.split('\n').map(l => l.trim()).filter(l => l !== '' && !l.startsWith('#')).map(line => ({ line, words: parseWords(line) }));
}

const ASK: Record<string, string> = {
	FLUSHALL: 'deletes every key of every database, on all servers',
	FLUSHDB: 'deletes every key of this database, on all servers',
	SHUTDOWN: 'ends this server',
	DEBUG: 'can crash or block the server',
	KEYS: 'blocks the server while it looks at every key; SCAN does not',
	'CONFIG SET': 'changes a setting of the running server; a restart sets it back to the configuration',
	'CONFIG RESETSTAT': 'sets all statistics back to zero',
	'CONFIG REWRITE': 'writes the configuration file that Holdfast keeps',
	REPLICAOF: 'changes whom this server follows, past the sentinels',
	SLAVEOF: 'changes whom this server follows, past the sentinels',
	FAILOVER: 'hands the master over, past the sentinels; use the button of the cluster view',
	SWAPDB: 'exchanges two databases for all clients',
	SCRIPT: 'may end or remove scripts that clients use',
	'SCRIPT KILL': 'ends a running script',
	'SCRIPT FLUSH': 'removes all scripts; clients that use EVALSHA get NOSCRIPT',
	'FUNCTION FLUSH': 'removes all functions',
	'FUNCTION DELETE': 'removes a library of functions',
	'CLIENT KILL': 'closes connections of clients',
	'CLIENT PAUSE': 'keeps all clients waiting',
	'ACL SETUSER': 'changes what a user may do',
	'ACL DELUSER': 'removes users and closes their connections',
	'MODULE LOAD': 'loads code into one server only',
	'MODULE UNLOAD': 'takes code out of one server only',
	MIGRATE: 'moves keys to another server',
	SAVE: 'blocks the server while it writes the whole snapshot; BGSAVE does not',
	'CLUSTER': 'changes the cluster',
	'SENTINEL FAILOVER': 'hands the master over',
	'SENTINEL REMOVE': 'makes a sentinel forget the master',
	'SENTINEL RESET': 'makes a sentinel forget what it knows of the replicas',
	'SENTINEL SET': 'changes settings of one sentinel only',
	'SENTINEL MONITOR': 'makes a sentinel watch another master',
	'SENTINEL DEBUG': 'changes the timing of one sentinel',
};
const HARMLESS = new Set(['SCRIPT EXISTS', 'SCRIPT LOAD', 'SCRIPT HELP', 'DEBUG OBJECT', 'DEBUG HELP', 'CLUSTER INFO', 'CLUSTER NODES', 'CLUSTER HELP']);

// What a command does that should be asked for first; null: run it.
export function danger(words: Bin[]): string | null {
	const name = (i: number) => (typeof words[i] === 'string' ? (words[i] as string).toUpperCase() : '');
	const two = `${name(0)} ${name(1)}`;
	return HARMLESS.has(two) ? null : ASK[two] ?? ASK[name(0)] ?? null;
}

// Commands that never end would hold the console; where they live instead.
export function elsewhere(words: Bin[]): string | null {
	const name = typeof words[0] === 'string' ? words[0].toUpperCase() : '';
	return name === 'MONITOR' ? 'tools/monitor' : ['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE'].includes(name) ? 'tools/pubsub' : null;
}

// A pattern that matches these bytes and nothing else, for MATCH.
export function globEscape(text: string): string {
	return text.replace(/[\\*?[\]^]/g, c => `\\${c}`);
}

