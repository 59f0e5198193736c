import { describe, expect, test } from 'vitest';
import { ago, bytes, clock, counted, csv, duration, exactDuration, harmless, number, parseDuration, percent, resourceValue, unit } from '../src/lib/format';

describe('times', () => {
  test('a duration has at most two units, and the smaller one only while it matters', () => {
    expect([0, 12, 61, 600, 2460, 33_240, 86_400, 273_600, 1_641_600].map(duration)).toEqual([
      '0 s', '12 s', '1 min 1 s', '10 min', '41 min', '9 h 14 min', '1 d', '3 d 4 h', '19 d',
    ]);
  });
  test('what was is ago, what comes is in, and this second is just now', () => {
    const now = 1_700_000_000_000;
    expect([now - 12_000, now + 90_000, now - 400].map((at) => ago(at, now))).toEqual(['12 s ago', 'in 1 min 30 s', 'just now']);
  });
  test('a clock names the day unless it is today', () => {
    const noon = new Date(2026, 5, 3, 12, 0, 0).getTime();
    expect(clock(noon, noon + 1000)).toBe('12:00:00');
    expect(clock(noon, noon + 86_400_000)).toBe('3 Jun 12:00:00');
  });
});

describe('numbers', () => {
  test('sizes are decimal, and percentages do not round a rest away', () => {
    expect([999, 1000, 123_456, 1_100_000].map(bytes)).toEqual(['999 B', '1.00 kB', '123.5 kB', '1.10 MB']);
    expect([percent(9, 310), percent(99_999, 100_000), percent(1, 100_000), percent(0, 0), percent(1, 1)]).toEqual(['2.9 %', '99.9 %', '< 0.1 %', '0 %', '100 %']);
  });
  test('one device is singular', () => {
    expect([counted(1, 'device'), counted(12_480, 'device'), counted(0, 'device is', 'devices are')]).toEqual(['1 device', '12,480 devices', '0 devices are']);
  });
  test('a number has the digits that say something', () => {
    expect([14.6234, 0.00123, 12345.678, 42, Number.NaN].map(number)).toEqual(['14.62', '0.0012', '12345.7', '42', 'NaN']);
  });
});

describe('values by the object model', () => {
  test.each([
    [true, { type: 'boolean' }, 'on'],
    [14.62, { type: 'float', units: 'Cel' }, '14.62'],
    [3, { type: 'integer' }, '3'],
    ['deadbeef', { type: 'opaque' }, 'deadbeef'],
    ['ab'.repeat(64), { type: 'opaque' }, `${'ab'.repeat(24)}… (64 bytes)`],
    [0, { type: 'time', units: null }, '1 Jan 1970, 00:00:00 UTC'],
    [null, { type: 'string' }, 'empty'],
    ['-12345678901234567890', { type: 'integer' }, '-12345678901234567890'],
  ])('%j as %j', (value, kind, expected) => expect(resourceValue(value, kind, 'UTC')).toBe(expected));
  test('units are written as people write them, and unknown ones as they are', () => {
    expect(['Cel', 'm/s2', 'furlong', null].map(unit)).toEqual(['°C', 'm/s²', 'furlong', '']);
  });
});

describe('foreign text', () => {
  test('characters that hide or turn text are visible', () => {
    expect(harmless('a\u202egnp.exe\u0007\u200b')).toBe('a\\u{202e}gnp.exe\\u{7}\\u{200b}');
  });
  test('a cell that a spreadsheet would run is text, and quotes are doubled', () => {
    expect(csv([['=1+1', 'a "b", c', -3, null], ['line\nbreak']])).toBe(`'=1+1,"a ""b"", c",-3,\r\n"line\nbreak"\r\n`);
  });
});

test('a length of time that is typed is read, and written so that it is read again', () => {
  expect(['90 s', '5 min', '5m', '1 h 30 min', '2d', '1.5 h', '0'].map(parseDuration)).toEqual([90, 300, 300, 5400, 172_800, 5400, 0]);
  expect(['', '5', 'soon', '5 weeks', '-1 s', 's'].map(parseDuration)).toEqual(Array(6).fill(undefined));
  for (const seconds of [0, 1, 59, 61, 3600, 90_061, 604_800]) expect(parseDuration(exactDuration(seconds))).toBe(seconds);
});
