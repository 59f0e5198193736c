import { expect, test } from 'vitest';
import { alertWords, byWorst, conditionKinds, conditionWords, draftOf, ruleOf, severityTold, targetDraftOf, targetOf, type Alert, type AlertReceiver } from '../src/lib/alerts';

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

test('each kind of rule goes through its form unchanged', () => {
  const conditions = [
    { kind: 'filter', filter: 'battery < 15' }, { kind: 'update_failed', filter: '', clears_after: 60 }, { kind: 'reboot_loop', filter: 'group = a', times: 7, within: 90 },
    { kind: 'disk', free_percent: 3 }, { kind: 'store' }, { kind: 'certificate', days: 9 },
  ] as const;
  expect(conditions.map((one) => one.kind)).toEqual(conditionKinds.map(([kind]) => kind));
  for (const condition of conditions) {
    const rule = { condition, severity: 'critical' as const, description: 'a', for: 61, resolve_after: 5, flapping: { times: 3, within: 10 }, repeat: 600, receivers: ['mail'] };
    expect(ruleOf(draftOf({ ...rule, name: 'r', firing: 0 }))).toEqual(rule);
  }
});

test('a rule with what is no number or no time is not sent', () => {
  const draft = { ...draftOf(undefined), filter: 'state = overdue' };
  expect(ruleOf(draft)).toBeDefined();
  for (const wrong of [{ filter: ' ' }, { hold: NaN }, { flapTimes: '1' }, { flapTimes: 'x' }, { repeat: NaN }, { kind: 'disk' as const, freePercent: '0' }]) expect(ruleOf({ ...draft, ...wrong })).toBeUndefined();
});

test('a receiver keeps its target if nothing of it is changed, and a secret is never filled in', () => {
  const receiver: AlertReceiver = {
    name: 'mail', kind: 'email', target: 'a@example.org by example.org', severity: 'info', group_wait: 10, give_up_after: 60, waiting: 0, dead: 0,
    settings: { kind: 'email', server: 'smtps://example.org', user: 'buoy', from: 'b@example.org', to: ['a@example.org'] },
  };
  const draft = targetDraftOf(receiver);
  expect([draft.password, targetOf(draft, receiver)]).toEqual(['', 'kept']);
  expect(targetOf({ ...draft, to: 'a@example.org; c@example.org' }, receiver)).toEqual({ ...receiver.settings, to: ['a@example.org', 'c@example.org'] });
  const hook: AlertReceiver = { ...receiver, kind: 'webhook', settings: null };
  expect(targetOf(targetDraftOf(hook), hook)).toBe('kept');
  // A new secret goes to a URL that is named with it.
  expect(targetOf({ ...targetDraftOf(hook), secret: 'x'.repeat(16) }, hook)).toBeUndefined();
  expect(targetOf(targetDraftOf(undefined), undefined)).toBeUndefined();
});
