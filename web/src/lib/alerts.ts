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
