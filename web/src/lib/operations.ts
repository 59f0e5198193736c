/** Operations on devices: started, waited for, told in words. */
import { api, data, type DeviceRequest, type Operation } from './api';

/** Seconds that a person waits before an operation is followed in the background. */
const WAIT = 8;

/** Starts an operation. The answer has not ended if the device sleeps or is slow. */
export async function start(endpoint: string, request: DeviceRequest, wait = WAIT): Promise<Operation> {
  const headers = { 'Idempotency-Key': crypto.randomUUID() };
  return data(api.POST('/api/v1/operations', { params: { header: headers }, body: { endpoint, request, wait } }));
}

export interface Told {
  kind: 'good' | 'bad' | 'info' | 'none' | 'warn';
  mark: string;
  word: string;
}

/** The state of an operation as a word with its colour and shape. */
export function told(operation: Pick<Operation, 'state'>): Told {
  switch (operation.state) {
    case 'succeeded':
      return { kind: 'good', mark: '✓', word: 'succeeded' };
    case 'failed':
      return { kind: 'bad', mark: '■', word: 'failed' };
    case 'expired':
      return { kind: 'warn', mark: '▲', word: 'expired' };
    case 'cancelled':
      return { kind: 'none', mark: '–', word: 'cancelled' };
    case 'sent':
      return { kind: 'info', mark: '▶', word: 'sent' };
    default:
      return { kind: 'info', mark: '◆', word: 'queued' };
  }
}

/** Why an operation failed, and what to do: the codes of Core 1.1, section 6.4, in words. */
export function explain(operation: Operation): string {
  const detail = operation.detail ?? '';
  const code = operation.code ?? '';
  const hints: Record<string, string> = {
    '4.00': 'The device could not use the request. Check the value and its type.',
    '4.01': 'The device does not allow this server to do it. Check the access control of the object.',
    '4.04': 'The device has nothing at this path.',
    '4.05': 'The device does not allow this at this path.',
    '4.06': 'The device does not know the content format that was asked for.',
    '4.15': 'The device does not know the content format of the request.',
    '5.00': 'The device failed. Its own log may say why.',
    '5.03': 'The device is busy. Try again later.',
  };
  const hint = hints[code.slice(0, 4)] ?? '';
  return [detail || code, hint].filter(Boolean).join('. ').replaceAll('..', '.');
}

/** The states of an update. */
export function updateTold(state: string): Told {
  switch (state) {
    case 'updated':
      return { kind: 'good', mark: '✓', word: 'updated' };
    case 'already_running':
      return { kind: 'good', mark: '✓', word: 'ran already' };
    case 'rolled_back':
      return { kind: 'bad', mark: '↺', word: 'rolled back' };
    case 'refused':
    case 'failed':
    case 'timed_out':
    case 'unexpected_version':
      return { kind: 'bad', mark: '■', word: state.replaceAll('_', ' ') };
    case 'cancelled':
      return { kind: 'none', mark: '–', word: 'cancelled' };
    default:
      return { kind: 'info', mark: '▶', word: state.replaceAll('_', ' ') };
  }
}

/** Does something for many, some at a time, and reports each end. */
export async function forEach<T>(items: T[], atOnce: number, run: (item: T) => Promise<void>, isStopped: () => boolean): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) {
      if (isStopped()) return;
      await run(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
