/** Alerts and their rules in words. */
import type { Schema } from './api';
import { count, duration } from './format';
import type { Told } from './operations';

export type Alert = Schema['Alert'];
export type AlertRule = Schema['AlertRule'];
export type Severity = Schema['AlertSeverity'];

/** How bad something is: by shape, colour and word. */
export function severityTold(severity: Severity): Told {
  switch (severity) {
    case 'critical':
      return { kind: 'bad', mark: '■', word: 'critical' };
    case 'warning':
      return { kind: 'warn', mark: '▲', word: 'warning' };
    default:
      return { kind: 'info', mark: '●', word: 'info' };
  }
}

/** Where an alert is, in a few words. */
export function alertWords(alert: Alert): string {
  const also = [alert.silenced ? 'silenced' : '', alert.acknowledged ? `noted by ${alert.acknowledged.by}` : ''].filter(Boolean);
  return [alert.state, ...also].join(', ');
}

/** What a rule looks for. */
export function conditionWords(condition: AlertRule['condition']): string {
  const of = (filter: string | undefined) => (filter ? ` of devices with ${filter}` : '');
  switch (condition.kind) {
    case 'filter':
      return condition.filter;
    case 'update_failed':
      return `a firmware update${of(condition.filter)} failed`;
    case 'reboot_loop':
      return `${count(condition.times ?? 5)} registrations${of(condition.filter)} within ${duration(condition.within ?? 600)}`;
    case 'disk':
      return `less than ${condition.free_percent ?? 10} % of the disk is free`;
    case 'store':
      return 'the store can’t be written';
    case 'certificate':
      return `a certificate ends within ${condition.days ?? 30} days`;
  }
}

const WORST: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };

/** The worst first, then the newest. */
export function byWorst<T extends { severity?: Severity; since?: number }>(all: T[]): T[] {
  const rank = (one: T) => WORST[one.severity ?? 'warning'];
  return [...all].sort((a, b) => rank(a) - rank(b) || (b.since ?? 0) - (a.since ?? 0));
}

export type ConditionKind = AlertRule['condition']['kind'];

/** Each kind of rule with its words, and what it does. */
export const conditionKinds: readonly (readonly [ConditionKind, string, string])[] = [
  ['filter', 'devices that match a filter', 'An alert for each device that the filter matches.'],
  ['update_failed', 'a failed firmware update', 'An alert for each device whose firmware update failed or was rolled back.'],
  ['reboot_loop', 'a device that registers again and again', 'An alert for each device that registers anew so often within a time.'],
  ['disk', 'a full disk of the server', 'An alert when the disk of the data folder has less than a part of its space left.'],
  ['store', 'a store that can’t be written', 'An alert when the store of the server can’t be written, or does not answer.'],
  ['certificate', 'a certificate that ends soon', 'An alert for each certificate of the server, or of an authority for devices, that ends soon.'],
];

/** A rule while it is edited: numbers are text, and a time that can't be read is NaN. */
export interface RuleDraft {
  kind: ConditionKind;
  severity: Severity;
  description: string;
  filter: string;
  times: string;
  within: number | undefined;
  clearsAfter: number | undefined;
  freePercent: string;
  days: string;
  hold: number | undefined;
  resolveAfter: number | undefined;
  flapTimes: string;
  flapWithin: number | undefined;
  repeat: number | undefined;
  receivers: string[];
}

const DAY = 86_400;

export function draftOf(rule: AlertRule | undefined): RuleDraft {
  const condition = rule?.condition;
  return {
    kind: condition?.kind ?? 'filter',
    severity: rule?.severity ?? 'warning',
    description: rule?.description ?? '',
    filter: condition && 'filter' in condition ? (condition.filter ?? '') : '',
    times: String(condition?.kind === 'reboot_loop' ? (condition.times ?? 5) : 5),
    within: condition?.kind === 'reboot_loop' ? (condition.within ?? 600) : 600,
    clearsAfter: condition?.kind === 'update_failed' ? (condition.clears_after ?? 7 * DAY) : 7 * DAY,
    freePercent: String(condition?.kind === 'disk' ? (condition.free_percent ?? 10) : 10),
    days: String(condition?.kind === 'certificate' ? (condition.days ?? 30) : 30),
    hold: rule?.for ?? 0,
    resolveAfter: rule?.resolve_after ?? 0,
    flapTimes: String(rule?.flapping?.times ?? 4),
    flapWithin: rule?.flapping?.within ?? 3600,
    repeat: rule?.repeat ?? undefined,
    receivers: rule?.receivers ?? [],
  };
}

/** The rule that a draft is, unless something in it is no number or no time. */
export function ruleOf(draft: RuleDraft): Schema['PutAlertRule'] | undefined {
  const condition = conditionOf(draft);
  const flaps = whole(draft.flapTimes, 2, 32);
  const { hold, resolveAfter, flapWithin, repeat } = draft;
  if (!condition || flaps === undefined || !isTime(hold) || !isTime(resolveAfter) || !isTime(flapWithin)) return undefined;
  if (repeat !== undefined && !isTime(repeat)) return undefined;
  return {
    condition, severity: draft.severity, description: draft.description.trim(), for: hold, resolve_after: resolveAfter,
    flapping: { times: flaps, within: flapWithin }, receivers: draft.receivers, ...(repeat === undefined ? {} : { repeat }),
  };
}

function conditionOf(draft: RuleDraft): Schema['AlertCondition'] | undefined {
  const filter = draft.filter.trim();
  switch (draft.kind) {
    case 'filter':
      return filter === '' ? undefined : { kind: 'filter', filter };
    case 'update_failed':
      return isTime(draft.clearsAfter) ? { kind: 'update_failed', filter, clears_after: draft.clearsAfter } : undefined;
    case 'reboot_loop': {
      const times = whole(draft.times, 2, 32);
      return times !== undefined && isTime(draft.within) ? { kind: 'reboot_loop', filter, times, within: draft.within } : undefined;
    }
    case 'disk': {
      const percent = whole(draft.freePercent, 1, 99);
      return percent === undefined ? undefined : { kind: 'disk', free_percent: percent };
    }
    case 'certificate': {
      const days = whole(draft.days, 1, 3650);
      return days === undefined ? undefined : { kind: 'certificate', days };
    }
    default:
      return { kind: 'store' };
  }
}

function whole(text: string, least: number, most: number): number | undefined {
  const number = /^\s*\d+\s*$/.test(text) ? Number(text) : NaN;
  return number >= least && number <= most ? number : undefined;
}

function isTime(seconds: number | undefined): seconds is number {
  return seconds !== undefined && !Number.isNaN(seconds);
}

export type AlertReceiver = Schema['AlertReceiver'];
export type AlertTarget = Schema['AlertTarget'];
export type TargetKind = AlertTarget['kind'];

export const targetKinds: readonly (readonly [TargetKind, string])[] = [
  ['webhook', 'Webhook'],
  ['slack', 'Slack, Mattermost, Rocket.Chat'],
  ['email', 'Mail'],
  ['mqtt', 'MQTT'],
  ['nats', 'NATS'],
];

/** A target while it is edited. Secrets are never read from the server: an empty one stays as it is. */
export interface TargetDraft {
  kind: TargetKind;
  url: string;
  secret: string;
  server: string;
  user: string;
  password: string;
  from: string;
  to: string;
  topic: string;
}

export function targetDraftOf(receiver: AlertReceiver | undefined): TargetDraft {
  const draft: TargetDraft = { kind: (receiver?.kind as TargetKind) ?? 'webhook', url: '', secret: '', server: '', user: '', password: '', from: '', to: '', topic: '' };
  const settings = receiver?.settings;
  if (!settings || settings.kind === 'webhook' || settings.kind === 'slack') return draft;
  const rest = settings.kind === 'email' ? { from: settings.from, to: settings.to.join(', ') } : { topic: settings.kind === 'mqtt' ? settings.topic : settings.subject };
  return { ...draft, server: settings.server, user: settings.user ?? '', ...rest };
}

/** The target that a draft is: 'kept' if it is that of the receiver, undefined if something is missing. */
export function targetOf(draft: TargetDraft, receiver: AlertReceiver | undefined): AlertTarget | 'kept' | undefined {
  const { kind, url, secret, server, user, password, from, to, topic } = draft;
  const before = targetDraftOf(receiver);
  if (receiver && JSON.stringify(before) === JSON.stringify(draft)) return 'kept';
  const signIn = { ...(user.trim() ? { user: user.trim() } : {}), ...(password ? { password } : {}) };
  switch (kind) {
    case 'webhook':
      return url.trim() ? { kind, url: url.trim(), ...(secret ? { secret } : {}) } : undefined;
    case 'slack':
      return url.trim() ? { kind, url: url.trim() } : undefined;
    case 'email': {
      const all = to.split(/[,;\n]/).map((one) => one.trim()).filter(Boolean);
      return server.trim() && from.trim() && all.length > 0 ? { kind, server: server.trim(), from: from.trim(), to: all, ...signIn } : undefined;
    }
    case 'mqtt':
      return server.trim() && topic.trim() ? { kind, server: server.trim(), topic: topic.trim(), ...signIn } : undefined;
    case 'nats':
      return server.trim() && topic.trim() ? { kind, server: server.trim(), subject: topic.trim(), ...signIn } : undefined;
  }
}
