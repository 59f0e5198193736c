/** Desired states in words, and as a form holds them. */
import type { Schema } from './api';
import { valueOf } from './jobs';
import type { Told } from './operations';

export type DesiredState = Schema['DesiredState'];
export type DesiredSetting = Schema['DesiredSetting'];
export type DesiredCounts = Schema['DesiredCounts'];

/** Where a setting of a device is. */
export function conditionTold(condition: Schema['DesiredCondition']): Told {
  switch (condition) {
    case 'in_sync':
      return { kind: 'good', mark: '✓', word: 'in sync' };
    case 'given_up':
      return { kind: 'bad', mark: '■', word: 'given up' };
    case 'differs':
      return { kind: 'warn', mark: '≠', word: 'differs' };
    default:
      return { kind: 'info', mark: '…', word: 'to be asked' };
  }
}

/** How far devices are, in the order in which a bar shows them. */
export const PROGRESS = [
  { name: 'in_sync', word: 'in sync', colour: '--good', kind: 'good', mark: '✓' },
  { name: 'given_up', word: 'given up', colour: '--bad', kind: 'bad', mark: '■' },
  { name: 'pending', word: 'pending', colour: '--c1', kind: 'info', mark: '…' },
] as const;

export function desiredTotal(counts: DesiredCounts): number {
  return counts.in_sync + counts.pending + counts.given_up;
}

export function valueWords(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function attributesWords(attributes: DesiredSetting['attributes']): string {
  return Object.entries(attributes ?? {}).map(([name, value]) => `${name}=${value}`).join(' ');
}

/** What is wanted of a path. */
export function goalWords(setting: DesiredSetting): string {
  return setting.observe ? ['observed', attributesWords(setting.attributes)].filter(Boolean).join(', ') : valueWords(setting.value);
}

/** A line of the form. */
export interface SettingLine {
  path: string;
  kind: 'value' | 'observed';
  text: string;
}

export function lineOf(setting: DesiredSetting): SettingLine {
  if (setting.observe) return { path: setting.path, kind: 'observed', text: attributesWords(setting.attributes) };
  // A text that would be read as a number or the like keeps its quotes.
  const text = typeof setting.value === 'string' && typeof valueOf(setting.value) === 'string' ? setting.value : JSON.stringify(setting.value);
  return { path: setting.path, kind: 'value', text };
}

/** The setting of a line, or what is wrong with it. */
export function settingOf(line: SettingLine): { setting?: DesiredSetting; fault?: string } {
  const path = line.path.trim();
  if (!/^\/\d+(\/\d+)*$/.test(path)) return { fault: 'A path is written as in /1/0/1.' };
  const text = line.text.trim();
  if (line.kind === 'value') return text === '' ? { fault: 'A value is missing.' } : { setting: { path, value: valueOf(text) } };
  const attributes: Record<string, string> = {};
  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const [, name, value] = /^([a-z]+)=(.+)$/.exec(word) ?? [];
    if (!name || !value) return { fault: `${word}: an attribute is written as in pmin=10.` };
    attributes[name] = value;
  }
  return { setting: { path, observe: true, ...(Object.keys(attributes).length > 0 ? { attributes } : {}) } };
}
