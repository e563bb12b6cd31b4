import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reply } from '../src/core/reply';
import { numberOf } from '../src/core/reply';
import { bounds, moment, tick } from '../src/core/series';
import { seriesInfo, seriesPoints, seriesQuestion } from '../src/core/timeseries';

const resp2: Reply = ['totalSamples', 3, 'memoryUsage', 4242, 'firstTimestamp', 1000, 'lastTimestamp', 9000, 'retentionTime', 60000, 'chunkCount', 1, 'duplicatePolicy', null, 'labels', [['place', 'roof'], ['unit', { base64: '/w==' }]], 'sourceKey', null, 'rules', []];
const resp3: Reply = { map: [['totalSamples', 3], ['firstTimestamp', 1000], ['lastTimestamp', 9000], ['retentionTime', 60000], ['labels', { map: [['place', 'roof'], ['unit', { base64: '/w==' }]] }], ['rules', { map: [] }]] };

test('a time series in the forms of RESP2 and RESP3', () => {
	const i = seriesInfo(resp2);
	assert.deepEqual(i, { samples: 3, first: 1000, last: 9000, retention: 60000, labels: [['place', 'roof'], ['unit', '\\xff']] });
	assert.deepEqual(seriesInfo(resp3), i);
	assert.deepEqual(seriesInfo(['totalSamples', 0, 'labels', []]), { samples: 0, first: 0, last: 0, retention: 0, labels: [] });
	const points = { t: [1, 5, 9], v: [-1.5, null, 2e10] };
	assert.deepEqual(seriesPoints([[1000, { status: '-1.5' }], [5000, { status: 'NaN' }], [9000, { status: '2e+10' }]]), points);
	assert.deepEqual(seriesPoints([[1000, { double: '-1.5' }], [5000, { double: 'inf' }], [9000, { double: '2e+10' }]]), points);
	assert.deepEqual(seriesPoints([[1000, '-1.5'], [5000, { double: 'nan' }], [9000, '20000000000']]), points);
	assert.deepEqual(seriesPoints([]), { t: [], v: [] });
});

test('a long series is asked for as means, never as all its samples', () => {
	const long = { samples: 5e6, first: 0, last: 1e9, retention: 0, labels: [] };
	assert.deepEqual(seriesQuestion(long, Number.POSITIVE_INFINITY), { from: 0, to: 1e9, bucket: 1e6 });
	assert.deepEqual(seriesQuestion(long, 3600e3), { from: 1e9 - 3600e3, to: 1e9, bucket: 3600 });
	assert.deepEqual(seriesQuestion({ ...long, samples: 2000 }, 3600e3), { from: 1e9 - 3600e3, to: 1e9, bucket: 0 });
	assert.equal(seriesQuestion({ ...long, first: 1e9 }, 3600e3).bucket, 1);
});

test('a status that is a number is one', () => {
	assert.deepEqual([numberOf({ status: '12.5' }), numberOf({ status: 'OK' }), numberOf({ status: '' })], [12.5, null, null]);
});

test('the scale of a chart has room for what is below zero', () => {
	assert.deepEqual(bounds(2, 10, 0), [0, 11]);
	assert.deepEqual(bounds(2, 10, 100), [0, 110.00000000000001]);
	assert.deepEqual(bounds(-10, -5, 0), [-11, 0]);
	assert.deepEqual(bounds(-10, 10, 0), [-11, 11]);
	assert.deepEqual(bounds(null, null, 0), [0, 1]);
	assert.deepEqual(bounds(0, 0, 0), [0, 1]);
});

test('times of a chart say the day where it is needed', () => {
	const noon = new Date(2026, 2, 5, 12, 0, 7).getTime() / 1000;
	assert.deepEqual([tick(noon, 1), tick(noon, 60), tick(noon, 86400)], ['12:00:07', '12:00', '5 Mar']);
	assert.deepEqual([moment(noon, 300), moment(noon, 86401)], ['12:00:07', '5 Mar 2026, 12:00:07']);
});
