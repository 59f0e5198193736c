/** What happened, in a sentence for a person. Texts of devices are made harmless. */
import type { BuoyEvent, PathValue } from './api';
import { counted, harmless } from './format';
import { updateTold } from './operations';

export interface Line {
  kind: 'in' | 'out' | 'bad' | 'good' | 'none';
  word: string;
  text: string;
}

function value(one: PathValue): string {
  const text = typeof one.value === 'string' ? one.value : JSON.stringify(one.value);
  return `${one.path} = ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`;
}

function values(all: PathValue[]): string {
  const shown = all.slice(0, 4).map(value).join(', ');
  return all.length > 4 ? `${shown} and ${all.length - 4} more` : shown;
}

export function line(event: BuoyEvent): Line {
  const { kind, word, text } = plain(event);
  return { kind, word, text: harmless(text) };
}

function plain(event: BuoyEvent): Line {
  switch (event.type) {
    case 'registered': {
      const { address, secure, lifetime, lwm2m, objects } = event.registration;
      const way = secure ? 'over DTLS' : 'without encryption';
      return { kind: 'in', word: 'Register', text: `from ${address} ${way}, LwM2M ${lwm2m}, lifetime ${lifetime} s, ${counted(objects.length, 'object')}` };
    }
    case 'updated':
      return { kind: 'in', word: 'Update', text: `from ${event.registration.address}, lifetime ${event.registration.lifetime} s` };
    case 'deregistered':
      return { kind: 'in', word: 'Deregister', text: 'the device ended its registration' };
    case 'expired':
      return { kind: 'bad', word: 'Expired', text: 'nothing came within the lifetime, so the registration ended' };
    case 'awake':
      return { kind: 'none', word: 'Awake', text: 'the device listens' };
    case 'sleeping':
      return { kind: 'none', word: 'Asleep', text: 'the device stopped listening until its next message' };
    case 'notification':
      return { kind: 'in', word: 'Notify', text: values(event.values) || event.paths.join(', ') };
    case 'send':
      return { kind: 'in', word: 'Send', text: values(event.values) };
    case 'report_problem':
      return { kind: 'bad', word: 'Report', text: event.detail };
    case 'observation_ended':
      return { kind: 'none', word: 'Observe', text: 'an observation ended' };
    case 'refused':
      return { kind: 'bad', word: 'Refused', text: `${event.code} to ${event.address}: ${event.reason}` };
    case 'dtls':
      return dtls(event.state, event.address, event.detail ?? '');
    case 'bootstrap':
      return { kind: event.phase === 'failed' || event.phase === 'refused' ? 'bad' : 'in', word: 'Bootstrap', text: `${event.phase}: ${event.detail}` };
    case 'operation': {
      const kind = event.state === 'failed' || event.state === 'expired' ? 'bad' : event.state === 'succeeded' ? 'good' : 'out';
      return { kind, word: 'Operation', text: `${event.id} ${event.state}` };
    }
    case 'firmware_update': {
      const told = updateTold(event.update.state);
      const kind = told.kind === 'bad' ? 'bad' : told.kind === 'good' ? 'good' : 'out';
      return { kind, word: 'Firmware', text: `${event.update.version}: ${event.update.detail || told.word}` };
    }
    case 'campaign':
      return { kind: event.state === 'paused' || event.state === 'aborted' ? 'bad' : 'none', word: 'Campaign', text: `${event.name}: ${event.state}${event.reason ? `, ${event.reason}` : ''}` };
    case 'job':
      return { kind: 'none', word: 'Job', text: `${event.name}: ${event.state}, ${counted(event.counts.succeeded, 'device')} did it` };
    case 'alert':
      return { kind: event.state === 'firing' || event.state === 'flapping' ? 'bad' : 'none', word: 'Alert', text: `${event.rule}: ${event.state}` };
    default:
      return { kind: 'none', word: 'Missed', text: 'some events were missed' };
  }
}

/** A session in words. */
function dtls(state: string, address: string, detail: string): Line {
  switch (state) {
    case 'established':
      return { kind: 'in', word: 'DTLS', text: `a session with ${address} is established: both sides have proved who they are${detail ? `, ${detail}` : ''}` };
    case 'ended':
      return { kind: 'none', word: 'DTLS', text: `the session with ${address} ended${detail ? `: ${detail}` : ''}` };
    default:
      return { kind: 'bad', word: 'DTLS', text: `a handshake with ${address} failed${detail ? `: ${detail}` : ''}` };
  }
}
