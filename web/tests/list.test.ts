import { expect, test } from 'vitest';
import type { BuoyEvent, Device } from '../src/lib/api';
import { changed } from '../src/lib/devices.svelte';
import { withGaps } from '../src/lib/history';
import { between, merge, rowsInView } from '../src/lib/list';

const row = (id: number, text = '') => ({ id, text });

test('a fresh list changes rows in place, keeps their order, and lets new ones wait', () => {
  const merged = merge([row(3), row(1), row(2)], [row(4), row(2, 'new'), row(3)], (one) => one.id);
  expect(merged).toEqual({ shown: [row(3), row(2, 'new')], waiting: [row(4)], gone: 1 });
});

test('the window has the rows in sight and some beyond, and never more than there are', () => {
  expect(rowsInView(0, 720, 36, 1000)).toEqual({ first: 0, last: 28 });
  expect(rowsInView(36_000, 720, 36, 1010)).toEqual({ first: 992, last: 1010 });
  expect(rowsInView(99_999, 720, 36, 5)).toEqual({ first: 5, last: 5 });
  expect(rowsInView(0, 720, 36, 0)).toEqual({ first: 0, last: 0 });
});

test('a range is selected in both directions', () => {
  expect(between(['a', 'b', 'c', 'd'], 'c', 'a')).toEqual(['a', 'b', 'c']);
  expect(between(['a', 'b'], 'gone', 'b')).toEqual(['b']);
});

const device: Device = { endpoint: 'a', state: 'asleep', first_contact: 1, last_contact: 2 };
const registration = { address: '127.0.0.1:1', binding: 'U', id: 'x', lifetime: 60, lwm2m: '1.1', objects: [], queue_mode: false, registered_at: 5, secure: true };

test('events change the state and the last contact of a row, and others leave it alone', () => {
  const after = (event: BuoyEvent) => changed(device, event);
  expect(after({ type: 'updated', endpoint: 'a', registration, at: 9 })).toMatchObject({ state: 'online', last_contact: 9, registration });
  expect(after({ type: 'sleeping', endpoint: 'a', at: 9 })).toMatchObject({ state: 'asleep', last_contact: 2 });
  expect(changed({ ...device, registration }, { type: 'expired', endpoint: 'a', at: 9 })).toEqual({ ...device, state: 'offline' });
  expect(after({ type: 'operation', endpoint: 'a', id: 1, state: 'sent', at: 9 })).toBeUndefined();
});

test('a time without values is a gap in the line, and text is no point', () => {
  const samples = [0, 10, 20, 30, 200, 210].map((at) => ({ at, value: at }));
  expect(withGaps([...samples, { at: 220, value: 'text' }], 10)).toEqual([
    [0, 0], [10, 10], [20, 20], [30, 30], [40, null], [200, 200], [210, 210],
  ]);
});
