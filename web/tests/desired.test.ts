import { expect, test } from 'vitest';
import { conditionTold, desiredTotal, goalWords, lineOf, settingOf } from '../src/lib/desired';

test('a line of the form is a value or an observation', () => {
  expect(settingOf({ path: ' /1/0/1 ', kind: 'value', text: '300' })).toEqual({ setting: { path: '/1/0/1', value: 300 } });
  expect(settingOf({ path: '/3303/0/5700', kind: 'observed', text: 'pmin=10, pmax=60' })).toEqual({ setting: { path: '/3303/0/5700', observe: true, attributes: { pmin: '10', pmax: '60' } } });
  expect(settingOf({ path: '/3303/0/5700', kind: 'observed', text: '' })).toEqual({ setting: { path: '/3303/0/5700', observe: true } });
});

test('a line that is wrong says what is wrong', () => {
  expect(settingOf({ path: '1/0/1', kind: 'value', text: '3' }).fault).toMatch('/1/0/1');
  expect(settingOf({ path: '/1/0/1', kind: 'value', text: ' ' }).fault).toMatch('missing');
  expect(settingOf({ path: '/1/0/1', kind: 'observed', text: 'pmin' }).fault).toMatch('pmin=10');
});

test('a setting is the same after it was in the form', () => {
  for (const value of [300, true, 'a text', '300', 'true', '', null]) {
    const setting = { path: '/1/0/1', value };
    if (value === '') continue;
    expect(settingOf(lineOf(setting)).setting).toEqual(setting);
  }
  const observed = { path: '/3303/0/5700', observe: true, attributes: { pmin: '10' } };
  expect(settingOf(lineOf(observed)).setting).toEqual(observed);
});

test('what is wanted, and how far it is, is told in words', () => {
  expect(goalWords({ path: '/x', value: 'a' })).toBe('a');
  expect(goalWords({ path: '/x', value: false })).toBe('false');
  expect(goalWords({ path: '/x', observe: true, attributes: { pmin: '10' } })).toBe('observed, pmin=10');
  expect(conditionTold('given_up')).toMatchObject({ kind: 'bad' });
  expect(desiredTotal({ in_sync: 1, pending: 2, given_up: 3 })).toBe(6);
});
