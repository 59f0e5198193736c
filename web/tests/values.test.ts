import { expect, test } from 'vitest';
import { at, isCovered, parse, take, takeOperation, undefinedResources, type Values } from '../src/lib/values';

test('what was typed is read by the type and the range of the definition', () => {
  expect(parse('60', { type: 'integer', range: '0..100' })).toEqual({ value: 60 });
  expect(parse('101', { type: 'integer', range: '0..100' }).error).toContain('from 0 to 100');
  expect(parse('1.5', { type: 'integer' }).error).toContain('whole number');
  expect(parse('9007199254740993', { type: 'integer' })).toEqual({ value: '9007199254740993' });
  expect(parse('14,5', { type: 'float' })).toEqual({ value: 14.5 });
  expect(parse('', { type: 'float' }).error).toBeDefined();
  expect(parse('true', { type: 'boolean' })).toEqual({ value: true });
  expect(parse('abc', { type: 'opaque' }).error).toContain('hexadecimal');
  expect(parse('1970-01-01T00:00:10Z', { type: 'time' })).toEqual({ value: 10_000 });
  expect(parse('3:0', { type: 'objlnk' })).toEqual({ value: '3:0' });
  expect(parse(' text ', { type: 'string' })).toEqual({ value: ' text ' });
});

test('an older value does not replace a newer one', () => {
  const values: Values = new Map();
  expect(take(values, [{ path: '/3303/0/5700', value: 15 }], 200)).toBe(true);
  expect(take(values, [{ path: '/3303/0/5700', value: 14, at: 100 }], 300)).toBe(false);
  expect(values.get('/3303/0/5700')?.value).toBe(15);
});

test('only the answer of an operation that succeeded is a value of the device', () => {
  const operation = { changed_at: 5, created_at: 1, deadline: 9, ended: true, endpoint: 'a', id: 1, method: 'GET', path: '/3/0', values: [{ path: '/3/0/9', value: 87 }] };
  const values: Values = new Map();
  expect(takeOperation(values, { ...operation, state: 'failed' })).toBe(false);
  expect(takeOperation(values, { ...operation, state: 'succeeded' })).toBe(true);
  expect(values.get('/3/0/9')).toEqual({ value: 87, type: undefined, at: 5 });
});

test('instances of a resource stand in the order of their ids, and /3/0/1 is not /3/0/11', () => {
  const values: Values = new Map();
  take(values, [{ path: '/3/0/11/10', value: 2 }, { path: '/3/0/11/2', value: 1 }, { path: '/3/0/1', value: 'm' }], 1);
  expect(at(values, '/3/0/11').map((one) => one.instance)).toEqual(['2', '10']);
  expect(at(values, '/3/0/1').map((one) => one.path)).toEqual(['/3/0/1']);
  expect(undefinedResources(values, '/3/0', [{ id: 1 }])).toEqual([11]);
});

test('an observation covers what is under its path', () => {
  expect([isCovered('/3303/0/5700', ['/3303/0']), isCovered('/3303/0/5700', ['/3303/0/570'])]).toEqual([true, false]);
});
