/** The commands that a job can give, as the page offers them. */
import type { DeviceRequest, Schema } from './api';
import { valueOf } from './jobs';

export type CommandKind = 'read' | 'write' | 'observe' | 'cancel_observe' | 'execute' | 'reboot' | 'renew' | 'delete' | 'reset' | 'wipe' | 'rotate_key';

interface Command {
  kind: CommandKind;
  name: string;
  /** What is asked for. */
  needs: ('path' | 'value' | 'arguments')[];
  example: string;
  /** What it means for a device. */
  words: string;
  /** Whether it changes devices, so that many of them are a reason to ask twice. */
  changes: boolean;
  /** When a device has done it, if not when it has answered. */
  until?: Schema['JobUntil'];
}

export const COMMANDS: Command[] = [
  { kind: 'read', name: 'Read', needs: ['path'], example: '/3/0/9', words: 'Each device is asked for its value; the answers are stored.', changes: false },
  { kind: 'write', name: 'Write', needs: ['path', 'value'], example: '/1/0/1', words: 'Each device is given the value once. To keep devices at it, make a desired state.', changes: true },
  { kind: 'observe', name: 'Observe', needs: ['path'], example: '/3303/0/5700', words: 'Each device reports the value whenever it changes.', changes: false },
  { kind: 'cancel_observe', name: 'Stop observing', needs: ['path'], example: '/3303/0/5700', words: 'Each device that reports the value stops to do so.', changes: false },
  { kind: 'reboot', name: 'Reboot', needs: [], example: '', words: 'Each device executes /3/0/4 and is away for the time of its start.', changes: true },
  { kind: 'renew', name: 'Renew the registration', needs: [], example: '', words: 'Each device executes /1/0/8 and sends an Update.', changes: false },
  { kind: 'execute', name: 'Execute', needs: ['path', 'arguments'], example: '/3/0/12', words: 'Each device runs the resource once; an Execute is never repeated by itself.', changes: true },
  { kind: 'delete', name: 'Delete an instance', needs: ['path'], example: '/3303/1', words: 'Each device deletes the object instance with all its values. It can’t be undone.', changes: true },
  { kind: 'reset', name: 'Factory reset', needs: [], example: '', words: 'Each device executes /3/0/5 and loses its settings, and with them perhaps the account of this server. It can’t be undone.', changes: true },
  { kind: 'wipe', name: 'Wipe', needs: [], example: '', words: 'Each device executes /3/0/5, and is done when it has registered anew. It can’t be undone.', changes: true, until: 'registered' },
  { kind: 'rotate_key', name: 'New keys', needs: [], example: '', words: 'Each device executes /1/0/9, gets a new key from the bootstrap server, and is done when it uses it. The old key counts until then.', changes: true, until: 'key_used' },
];

/** The request of a command; none while something of it is missing. */
export function requestOf(kind: CommandKind, path: string, value: string, given: string): DeviceRequest | undefined {
  const at = path.trim();
  if (COMMANDS.find((one) => one.kind === kind)?.needs.includes('path') && !/^\/\d+(\/\d+)*$/.test(at)) return undefined;
  switch (kind) {
    case 'read':
      return { read: { path: at } };
    case 'write':
      return value.trim() === '' ? undefined : { write: { path: at, values: [{ path: at, value: valueOf(value.trim()) }], mode: 'replace' } };
    case 'observe':
      return { observe: { path: at } };
    case 'cancel_observe':
      return { cancel_observe: { path: at } };
    case 'execute':
      return { execute: { path: at, ...(given.trim() ? { arguments: given.trim() } : {}) } };
    case 'reboot':
      return { execute: { path: '/3/0/4' } };
    case 'renew':
      return { execute: { path: '/1/0/8' } };
    case 'delete':
      return { delete: { path: at } };
    case 'rotate_key':
      return { execute: { path: '/1/0/9' } };
    case 'wipe':
    case 'reset':
      return { execute: { path: '/3/0/5' } };
  }
}
