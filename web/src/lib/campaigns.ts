/** Campaigns in words, and what their waves are made of. */
import type { Schema } from './api';
import type { Told } from './operations';

export type Campaign = Schema['Campaign'];
export type Counts = Schema['CampaignCounts'];
export type Plan = Schema['PutCampaign'];

export function campaignTold(state: Campaign['state'], counts?: Counts): Told {
  switch (state) {
    case 'done':
      // An end without the release is no good end.
      if (counts && counts.failed > 0) return counts.confirmed === 0 ? { kind: 'bad', mark: '■', word: 'failed' } : { kind: 'warn', mark: '▲', word: 'done in part' };
      return { kind: 'good', mark: '✓', word: 'done' };
    case 'paused':
      return { kind: 'bad', mark: '■', word: 'paused' };
    case 'aborted':
    case 'stopping':
      return { kind: 'bad', mark: '✕', word: state };
    case 'running':
    case 'preparing':
      return { kind: 'info', mark: '▶', word: state };
    case 'scheduled':
      return { kind: 'warn', mark: '◆', word: 'waits for its start' };
    default:
      return { kind: 'none', mark: '◇', word: 'draft' };
  }
}

/** The stages of devices in the order in which a bar shows them. */
export const STAGES = [
  { name: 'confirmed', word: 'confirmed', colour: '--good' },
  { name: 'had_it', word: 'had it already', colour: '--c3' },
  { name: 'updating', word: 'updating', colour: '--c1' },
  { name: 'failed', word: 'failed', colour: '--bad' },
  { name: 'put_back', word: 'put back', colour: '--c4' },
  { name: 'skipped', word: 'not tried', colour: '--c6' },
  { name: 'waiting', word: 'waiting', colour: '--line-strong' },
] as const;

export function total(counts: Counts): number {
  return STAGES.reduce((sum, stage) => sum + counts[stage.name], 0);
}

/** The devices that have ended, and the part of them that failed: what the rule to stop goes by. */
export function health(counts: Counts): { ended: number; failed: number; rate: number } {
  const ended = counts.confirmed + counts.failed;
  return { ended, failed: counts.failed, rate: ended === 0 ? 0 : (100 * counts.failed) / ended };
}

/** What each action needs. */
export function actions(state: Campaign['state']): { start: boolean; pause: boolean; resume: boolean; abort: boolean; edit: boolean; remove: boolean } {
  const isOpen = !['draft', 'done', 'aborted', 'stopping'].includes(state);
  return {
    start: state === 'draft',
    pause: ['scheduled', 'preparing', 'running'].includes(state),
    resume: state === 'paused',
    abort: isOpen,
    edit: state === 'draft',
    remove: ['draft', 'done', 'aborted'].includes(state),
  };
}

export function waveWords(wave: Schema['CampaignWave'], isLast: boolean): string {
  const size = wave.count ? `${wave.count} devices` : wave.percent ? `${wave.percent} %` : wave.filter ? wave.filter : isLast ? 'all that are left' : 'all';
  return size;
}

export function gateWords(gate: Schema['CampaignGate']): string {
  const parts = [`${gate.success} % confirmed`];
  if (gate.soak) parts.push(`for ${gate.soak >= 3600 ? `${gate.soak / 3600} h` : gate.soak >= 60 ? `${gate.soak / 60} min` : `${gate.soak} s`}`);
  if (gate.healthy) parts.push(`and ${gate.healthy}`);
  if (gate.manual) parts.push('and a person says yes');
  return parts.join(' ');
}
