import { expect, test } from 'vitest';
import { actions, campaignTold, gateWords, health, total, waveWords } from '../src/lib/campaigns';

const counts = { waiting: 80, updating: 3, confirmed: 12, had_it: 2, failed: 3, skipped: 0, put_back: 0 };

test('health counts those that have ended, and not those that had the release before', () => {
  expect(health(counts)).toEqual({ ended: 15, failed: 3, rate: 20 });
  expect(health({ ...counts, confirmed: 0, failed: 0 }).rate).toBe(0);
  expect(total(counts)).toBe(100);
});

test('a state offers only what the server allows in it', () => {
  expect(actions('draft')).toEqual({ start: true, pause: false, resume: false, abort: false, edit: true, remove: true });
  expect(actions('paused')).toMatchObject({ resume: true, pause: false, abort: true, remove: false });
  expect(actions('done')).toMatchObject({ abort: false, remove: true });
});

test('waves and gates are told in words', () => {
  const gate = { success: 95, soak: 1800, healthy: 'battery > 20', manual: true };
  expect(gateWords(gate)).toBe('95 % confirmed for 30 min and battery > 20 and a person says yes');
  expect(waveWords({ count: 5, gate }, false)).toBe('5 devices');
  expect(waveWords({ gate }, true)).toBe('all that are left');
});

test('a campaign that ended is done only if no device failed', () => {
  expect(campaignTold('done', { ...counts, failed: 0 }).word).toBe('done');
  expect(campaignTold('done', counts)).toMatchObject({ kind: 'warn', word: 'done in part' });
  expect(campaignTold('done', { ...counts, confirmed: 0 })).toMatchObject({ kind: 'bad', word: 'failed' });
});
