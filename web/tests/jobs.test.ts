import { expect, test } from 'vitest';
import { requestOf } from '../src/lib/commands';
import { commandWords, filterOfList, filterOfNames, filterOfText, jobActions, jobEnded, jobTold, jobTotal, valueOf } from '../src/lib/jobs';

const counts = { waiting: 3, sent: 2, asleep: 1, confirming: 0, succeeded: 10, failed: 2, not_reached: 1, cancelled: 0 };

test('a job counts all its devices, and those that have ended', () => {
  expect([jobTotal(counts), jobEnded(counts)]).toEqual([19, 13]);
});

test('a job that ended is done only if each device did it', () => {
  const none = { waiting: 0, sent: 0, asleep: 0, confirming: 0, succeeded: 0, failed: 0, not_reached: 0, cancelled: 0 };
  expect(jobTold('done', { ...none, succeeded: 5 })).toMatchObject({ kind: 'good', word: 'done' });
  expect(jobTold('done', { ...none, succeeded: 5, failed: 1 })).toMatchObject({ kind: 'warn', word: 'done in part' });
  expect(jobTold('done', { ...none, not_reached: 1 })).toMatchObject({ kind: 'bad', word: 'failed' });
});

test('a state offers only what the server allows in it', () => {
  expect(jobActions('running', counts)).toEqual({ cancel: true, retry: true, remove: false });
  expect(jobActions('stopping', counts)).toEqual({ cancel: false, retry: false, remove: false });
  expect(jobActions('done', { ...counts, failed: 0, not_reached: 0 })).toEqual({ cancel: false, retry: false, remove: true });
  expect(jobActions('cancelled', { ...counts, failed: 0, not_reached: 0, cancelled: 4 })).toMatchObject({ retry: true, remove: true });
});

test('the filters of the list become one filter of the language', () => {
  expect(filterOfList({})).toBe('');
  expect(filterOfList({ filter: 'a = 1 or b = 2' })).toBe('a = 1 or b = 2');
  expect(filterOfList({ filter: 'a = 1 or b = 2', prefix: 'north', state: 'online,asleep' })).toBe('(a = 1 or b = 2) and name ~ "north*" and state in (online, asleep)');
  expect(filterOfList({ state: 'offline', model: 'tide "1"', object: '3303' })).toBe('state = offline and object = 3303 and model = "tide \\"1\\""');
});

test('devices are named in a filter unless they are too many for the server', () => {
  expect(filterOfNames(['buoy-1'])).toBe('name = buoy-1');
  expect(filterOfNames(['a 1', 'b"2'])).toBe('name in ("a 1", "b\\"2")');
  expect(filterOfNames(Array.from({ length: 251 }, (_, at) => `d${at}`))).toBeUndefined();
  expect(filterOfNames(Array.from({ length: 100 }, (_, at) => `${at}-${'x'.repeat(60)}`))).toBeUndefined();
  expect(filterOfText(' north ')).toBe('name ~ "north*"');
  expect(filterOfText('state = online')).toBe('state = online');
});

test('a command is complete when its path and its value are', () => {
  expect(requestOf('read', '3/0', '', '')).toBeUndefined();
  expect(requestOf('write', '/1/0/1', ' ', '')).toBeUndefined();
  expect(requestOf('write', ' /1/0/1 ', '300', '')).toEqual({ write: { path: '/1/0/1', values: [{ path: '/1/0/1', value: 300 }], mode: 'replace' } });
  expect(requestOf('execute', '/3/0/12', '', " 0='x' ")).toEqual({ execute: { path: '/3/0/12', arguments: "0='x'" } });
  expect(requestOf('reset', '', '', '')).toEqual({ execute: { path: '/3/0/5' } });
  expect([valueOf('true'), valueOf('4'), valueOf('UTC+1')]).toEqual([true, 4, 'UTC+1']);
});

test('a command is told in words', () => {
  expect(commandWords({ execute: { path: '/3/0/4' } })).toBe('Reboot');
  expect(commandWords({ execute: { path: '/5/0/2', arguments: '1' } })).toBe('Execute /5/0/2 1');
  expect(commandWords({ write: { path: '/1/0/1', values: [{ path: '/1/0/1', value: 300 }], mode: 'replace' } })).toBe('Write /1/0/1 = 300');
  expect(commandWords({ write_attributes: { path: '/3303/0', attributes: { pmin: '5' } } })).toBe('Write attributes /3303/0');
});
