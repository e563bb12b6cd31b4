// Values that modules keep: JSON can be edited, time series are charts, graphs and indexes are shown; others by their DUMP.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { one, run } from '../api/client';
import { escape, toBytes } from '../core/bin';
import { bytes, duration, short, whole } from '../core/format';
import { compact, tokens } from '../core/json';
import { binOf, errorOf, fieldsOf, listOf, numberOf, type Reply, textOf } from '../core/reply';
import { seriesInfo, seriesPoints, seriesQuestion } from '../core/timeseries';
import { Chart } from '../parts/chart';
import { Button, Choice, Fault, Input, Panel, useLoad } from '../parts/parts';
import { operator } from '../state';
import type { KeyProps } from './key';
import { Editor, overwrite } from './string';
import { ReplyTree } from './replytree';

export function JsonValue({ db, name, changed }: KeyProps): JSX.Element {
	// The path is said: without one RedisJSON 2.6 answers an array of the document (RESP3). "." is the document in all versions.
	const get = async () => {
		const [r] = await run([['JSON.GET', name, '.']], { db });
		const e = errorOf(r);
		if (e !== null) {
			throw new Error(typeof r === 'object' && r !== null && 'cut' in r ? `The document is too large to be shown (${bytes(r.cut)}); JSON.GET with a path reads a part of it in the console` : e);
		}
		return textOf(r);
	};
	const v = useLoad(get, [db, name]);
	if (v.error !== null) {
		return <Fault error={v.error} again={v.reload} />;
	}
	const was = v.data;
	return was === undefined ? <p class="empty">…</p> : <Editor value={was} whole editable={operator.value} file={`${escape(name).replace(/[^\w.-]+/g, '_')}.json`} onSave={async n => {
		const text = typeof n === 'string' ? n : '';
		if (tokens(text) === null) {
			throw new Error('This is no JSON');
		}
		if ((await get()) !== was && !(await overwrite())) {
			return false;
		}
		await one(['JSON.SET', name, '.', compact(text) ?? text], { db });
		await v.reload();
		changed();
		return true;
	}} />;
}

const SPANS: [string, number][] = [['1 h', 3600e3], ['1 d', 86400e3], ['1 w', 604800e3], ['All', Number.POSITIVE_INFINITY]];

export function SeriesValue({ db, name }: KeyProps): JSX.Element {
	const [span, setSpan] = useState('All');
	const d = useLoad(async () => {
		const info = seriesInfo(await one(['TS.INFO', name], { db }));
		const { from, to, bucket } = seriesQuestion(info, SPANS.find(s => s[0] === span)![1]);
		const r = await one(['TS.RANGE', name, from, to, 'COUNT', 4000, ...(bucket > 0 ? ['AGGREGATION', 'avg', bucket] : [])], { db });
		return { info, ...seriesPoints(r), bucket };
	}, [span]);
	if (d.error !== null) {
		return <Fault error={d.error} again={d.reload} />;
	}
	if (!d.data) {
		return <p class="empty">…</p>;
	}
	const { info } = d.data;
	return (
		<>
			<div class="row"><Choice label="Time" value={span} onChange={setSpan} options={SPANS.map(([s]) => ({ value: s, text: s }))} />{d.data.bucket > 0 && <span class="hint">means of {duration(d.data.bucket)} each</span>}</div>
			{d.data.t.length === 0 ? <p class="empty">No sample yet.</p> : <Chart title={escape(name)} t={d.data.t} lines={[{ name: 'value', color: '--c1', values: d.data.v, fill: true }]} format={short} range={null} height={260} />}
			<dl class="facts"><dt>Samples</dt><dd>{whole(info.samples)}</dd><dt>Retention</dt><dd>{info.retention === 0 ? 'for ever' : duration(info.retention)}</dd>{info.labels.map(([k, v]) => [<dt key={`k${k}`}>{k}</dt>, <dd key={`v${k}`}>{v}</dd>])}</dl>
		</>
	);
}

export function GraphValue({ db, name }: KeyProps): JSX.Element {
	const [query, setQuery] = useState('MATCH (n) RETURN labels(n) AS label, count(*) AS nodes');
	const [asked, setAsked] = useState(query);
	const d = useLoad(() => one(['GRAPH.RO_QUERY', name, asked, 'TIMEOUT', 3000], { db }), [asked]);
	const [head, rows] = listOf(d.data);
	return (
		<Panel title="Graph, read-only" tools={<Button kind="main" onClick={() => setAsked(query)}>Run</Button>}>
			<div class="panel-body stack"><Input mono label="Query" value={query} onInput={setQuery} onEnter={() => setAsked(query)} />{d.error !== null && <Fault error={d.error} />}</div>
			<div class="tbl-box"><table class="tbl"><thead><tr>{listOf(head).map((h, i) => <th key={i} scope="col">{textOf(Array.isArray(h) ? h[1] : h)}</th>)}</tr></thead><tbody>{listOf(rows).slice(0, 200).map((r, i) => <tr key={i}>{listOf(r).map((c, k) => <td key={k} class="mono">{textOf(c)}</td>)}</tr>)}</tbody></table></div>
		</Panel>
	);
}

// What RediSearch 1 keeps as keys ("idx:NAME"); later ones are in Tools.
export function IndexValue({ name }: KeyProps): JSX.Element {
	return <IndexInfo name={escape(name).replace(/^idx:/, '')} />;
}

export function IndexInfo({ name }: { name: string }): JSX.Element {
	const [query, setQuery] = useState('*');
	const [asked, setAsked] = useState('');
	const d = useLoad(() => one(['FT.INFO', name]), [name]);
	const q = useLoad<Reply>(async () => (asked === '' ? null : one(['FT.SEARCH', name, asked, 'LIMIT', 0, 20])), [asked]);
	const f = fieldsOf(d.data);
	return (
		<>
			{d.error !== null && <Fault error={d.error} again={d.reload} />}
			{d.data !== undefined && <Panel title={`Index ${name}`}><div class="panel-body"><dl class="facts">{['num_docs', 'num_terms', 'num_records', 'inverted_sz_mb', 'indexing', 'hash_indexing_failures'].filter(k => f[k] !== undefined).map(k => [<dt key={`k${k}`}>{k}</dt>, <dd key={`v${k}`}>{textOf(f[k])}</dd>])}</dl>
				<h3>Fields</h3><ReplyTree reply={f.fields ?? f.attributes ?? null} /></div></Panel>}
			<Panel title="Search" tools={<Button onClick={() => setAsked(query)}>Run</Button>}><div class="panel-body stack"><Input mono label="Query" value={query} onInput={setQuery} onEnter={() => setAsked(query)} />{q.error !== null && <Fault error={q.error} />}{asked !== '' && q.data !== undefined && <ReplyTree reply={q.data} />}</div></Panel>
		</>
	);
}

export function OtherValue({ db, name, type }: KeyProps & { type: string }): JSX.Element {
	const d = useLoad(async () => {
		const [u] = await run([['MEMORY', 'USAGE', name]], { db });
		const size = numberOf(u) ?? 0;
		if (size > 1024 * 1024) {
			return null;
		}
		const [r] = await run([['DUMP', name]], { db });
		return errorOf(r) === null && r !== null ? binOf(r) : null;
	}, []);
	return (
		<>
			<p class="soft">{type} belongs to a module and has no view of its own here; its commands work in the console. {d.data ? `What DUMP gives, ${bytes(toBytes(d.data).length)}:` : ''}</p>
			{d.data && <Editor value={d.data} whole={false} editable={false} file="dump" onSave={async () => false} />}
		</>
	);
}
