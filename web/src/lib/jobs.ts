/** Jobs in words, and the filters that say for which devices they are made. */
import type { DeviceRequest, Schema } from './api';
import type { Filter } from './devices.svelte';
import { quoted } from './filter';
import type { Told } from './operations';

export type Job = Schema['Job'];
export type JobCounts = Schema['JobCounts'];
export type JobDevice = Schema['JobDevice'];

export function jobTold(state: Job['state'], counts: JobCounts): Told {
  const missed = counts.failed + counts.not_reached;
  switch (state) {
    case 'done':
      if (missed === 0) return { kind: 'good', mark: '✓', word: 'done' };
      return counts.succeeded === 0 ? { kind: 'bad', mark: '■', word: 'failed' } : { kind: 'warn', mark: '▲', word: 'done in part' };
    case 'cancelled':
      return { kind: 'none', mark: '–', word: 'cancelled' };
    case 'stopping':
      return { kind: 'warn', mark: '◆', word: 'stopping' };
    default:
      return { kind: 'info', mark: '▶', word: 'running' };
  }
}

/** The stages of devices in the order in which a bar shows them. */
export const JOB_STAGES = [
  { name: 'succeeded', word: 'did it', colour: '--good', kind: 'good', mark: '✓' },
  { name: 'failed', word: 'failed', colour: '--bad', kind: 'bad', mark: '■' },
  { name: 'not_reached', word: 'not reached', colour: '--warn', kind: 'warn', mark: '▲' },
  { name: 'cancelled', word: 'left out', colour: '--c6', kind: 'none', mark: '–' },
  { name: 'sent', word: 'sent', colour: '--c1', kind: 'info', mark: '▶' },
  { name: 'confirming', word: 'not confirmed yet', colour: '--c5', kind: 'info', mark: '◔' },
  { name: 'asleep', word: 'asleep', colour: '--c4', kind: 'info', mark: '☾' },
  { name: 'waiting', word: 'waiting', colour: '--line-strong', kind: 'none', mark: '…' },
] as const;

export function jobTotal(counts: JobCounts): number {
  return JOB_STAGES.reduce((sum, stage) => sum + counts[stage.name], 0);
}

export function jobEnded(counts: JobCounts): number {
  return counts.succeeded + counts.failed + counts.not_reached + counts.cancelled;
}

/** What each action needs. */
export function jobActions(state: Job['state'], counts: JobCounts): { cancel: boolean; retry: boolean; remove: boolean } {
  const hasEnded = state === 'done' || state === 'cancelled';
  return { cancel: state === 'running', retry: state !== 'stopping' && counts.failed + counts.not_reached + counts.cancelled > 0, remove: hasEnded };
}

/** A command as an operator would say it. */
export function commandWords(request: DeviceRequest): string {
  if (typeof request === 'string') return request;
  const [kind, it] = Object.entries(request)[0] as [string, { path?: string; paths?: string[]; values?: Schema['PathValue'][]; arguments?: string | null }];
  const path = it.path ?? it.paths?.join(' ') ?? '';
  const known: Record<string, string> = { '/3/0/4': 'Reboot', '/3/0/5': 'Factory reset', '/1/0/8': 'Renew the registration' };
  switch (kind) {
    case 'execute':
      return known[path] ?? `Execute ${path}${it.arguments ? ` ${it.arguments}` : ''}`;
    case 'write':
      return `Write ${(it.values ?? []).map((one) => `${one.path} = ${typeof one.value === 'string' ? one.value : JSON.stringify(one.value)}`).join(', ')}`;
    case 'cancel_observe':
      return `Stop observing ${path}`;
    default:
      return `${kind[0]?.toUpperCase()}${kind.slice(1).replaceAll('_', ' ')} ${path}`;
  }
}

/** The filters of the list of devices as one filter of the language. */
export function filterOfList(list: Filter): string {
  const { prefix, state, filter, object, ...texts } = list;
  const states = (state ?? '').split(',').filter(Boolean);
  const tests = [
    filter ? `(${filter})` : '',
    prefix ? `name ~ "${prefix.replace(/["\\]/g, '\\$&')}*"` : '',
    states.length > 1 ? `state in (${states.join(', ')})` : states.length === 1 ? `state = ${states[0]}` : '',
    object ? `object = ${Number(object)}` : '',
    ...Object.entries(texts).map(([field, value]) => (value ? `${field} = ${quoted(value)}` : '')),
  ].filter(Boolean);
  return tests.length === 1 && filter ? filter : tests.join(' and ');
}

/** The server's limits of a filter. */
const MOST_NAMES = 250;
const LONGEST = 4000;

/** A filter for exactly these devices; none if they are too many to be named. */
export function filterOfNames(names: string[]): string | undefined {
  if (names.length === 0 || names.length > MOST_NAMES) return undefined;
  const all = names.map(quoted);
  const filter = all.length === 1 ? `name = ${all[0]}` : `name in (${all.join(', ')})`;
  return new TextEncoder().encode(filter).length <= LONGEST ? filter : undefined;
}

/** A text as the filter box takes it: one word is the beginning of a name. */
export function filterOfText(text: string): string {
  const wanted = text.trim();
  return /^[\w.:-]+$/.test(wanted) ? `name ~ "${wanted}*"` : wanted;
}

/** What a person typed for a value: JSON, or else text. */
export function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
