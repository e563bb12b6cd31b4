// What the tests use of node, so that its types need no package.
declare module 'node:test' {
	export function test(name: string, f: () => void | Promise<void>): void;
}
declare module 'node:assert/strict' {
	const assert: {
		equal(a: unknown, b: unknown, message?: string): void;
		deepEqual(a: unknown, b: unknown, message?: string): void;
		ok(x: unknown, message?: string): void;
		match(text: string, re: RegExp): void;
	};
	export default assert;
}
