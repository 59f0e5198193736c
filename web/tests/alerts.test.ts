import { expect, test } from 'vitest';
import { alertWords, byWorst, conditionWords, severityTold, type Alert } from '../src/lib/alerts';

const alert = (severity: Alert['severity'], since: number): Alert => ({ rule: 'r', severity, state: 'firing', since });

test('the worst alerts come first, and of those the newest', () => {
  const sorted = byWorst([alert('info', 9), alert('critical', 1), alert('warning', 5), alert('critical', 2)]);
  expect(sorted.map((one) => [one.severity, one.since])).toEqual([['critical', 2], ['critical', 1], ['warning', 5], ['info', 9]]);
});

test('a condition is said in words', () => {
  expect(conditionWords({ kind: 'filter', filter: 'battery < 15' })).toBe('battery < 15');
  expect(conditionWords({ kind: 'update_failed', filter: 'group = north', clears_after: 1 })).toBe('a firmware update of devices with group = north failed');
  expect(conditionWords({ kind: 'disk', free_percent: 10 })).toBe('less than 10 % of the disk is free');
});

test('what is silenced or noted says so', () => {
  expect(alertWords({ ...alert('info', 1), silenced: true, acknowledged: { by: 'ada', at: 1 } })).toBe('firing, silenced, noted by ada');
  expect(severityTold('critical').word).toBe('critical');
});
