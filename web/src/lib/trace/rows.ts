/** Exchanges and events as the lines of a list. */
import type { BuoyEvent } from '../api';
import { duration, harmless } from '../format';
import { line } from '../words';
import { codeWords } from './coap';
import { payloadOfExchange, type Exchange } from './exchanges';
import { decodePayload, entryWords, type Decoded, type Definitions } from './payload';

export const kinds = [
  ['asked', 'Requests to the device'],
  ['told', 'Requests of the device'],
  ['notified', 'Notifications'],
  ['failed', 'Failures'],
  ['session', 'DTLS and registration'],
] as const;
export type Kind = (typeof kinds)[number][0];

export interface Row {
  key: string;
  at: number;
  kinds: Kind[];
  look: 'in' | 'out' | 'bad' | 'none';
  fromDevice: boolean;
  word: string;
  path: string;
  /** The answer in words. */
  answer: string;
  took: string;
  /** What else there is to know: values, repetitions, blocks. */
  notes: string[];
  text: string;
  exchange?: Exchange;
}

/** Events that are shown between the messages: what a trace of CoAP does not have. */
const EVENTS = new Set(['dtls', 'registered', 'deregistered', 'expired', 'awake', 'sleeping', 'refused', 'bootstrap', 'report_problem', 'observation_ended', 'firmware_update']);

export function rowOfEvent(event: BuoyEvent, number: number): Row | undefined {
  if (!EVENTS.has(event.type)) return undefined;
  const { kind, word, text } = line(event);
  const look = kind === 'bad' ? 'bad' : 'none';
  return { key: `e${number}`, at: event.at, kinds: ['session', ...(look === 'bad' ? (['failed'] as const) : [])], look, fromDevice: true, word, path: '', answer: '', took: '', notes: [], text };
}

const VALUES = 4;
/** A longer transfer is an image and not a list of values: it is not put together again with each of its blocks. */
const MOST_BLOCKS = 32;

export function rowOfExchange(exchange: Exchange, definitions: Definitions): Row {
  const { answer } = exchange;
  const isBad = exchange.isReset || (answer !== undefined && /^[45]/.test(answer.code));
  const kind: Kind = exchange.kind === 'notification' ? 'notified' : exchange.fromDevice ? 'told' : 'asked';
  const notes = [];
  if (exchange.blocks > 1) notes.push(`${exchange.blocks} blocks of ${exchange.blockSize} bytes`);
  if (exchange.repetitions > 0) notes.push(exchange.repetitions === 1 ? 'one message sent again' : `${exchange.repetitions} messages sent again`);
  const values = exchange.blocks > MOST_BLOCKS ? undefined : (['request', 'answer'] as const).map((of) => decodedOf(exchange, of, definitions)).find((one) => one && (one.entries.length > 0 || one.text));
  return {
    key: `x${exchange.id}`,
    at: exchange.at,
    kinds: [kind, ...(isBad ? (['failed'] as const) : [])],
    look: isBad ? 'bad' : exchange.fromDevice ? 'in' : 'out',
    fromDevice: exchange.fromDevice,
    word: exchange.action,
    path: harmless(exchange.path + (exchange.query ? `?${exchange.query}` : '')),
    answer: answerWords(exchange),
    took: exchange.took === undefined ? '' : tookWords(exchange.took),
    notes,
    text: values ? harmless(summary(values, definitions)) : '',
    exchange,
  };
}

function answerWords(exchange: Exchange): string {
  if (exchange.isReset) return 'Reset';
  if (exchange.kind === 'notification') return exchange.acknowledged === undefined ? '' : 'acknowledged';
  if (exchange.answer) return codeWords(exchange.answer.code);
  return exchange.kind === 'request' ? (exchange.acknowledged === undefined ? 'no answer yet' : 'acknowledged, no answer yet') : '';
}

export function tookWords(ms: number): string {
  return ms < 1000 ? `${ms} ms` : ms < 10_000 ? `${(ms / 1000).toFixed(2)} s` : duration(ms / 1000);
}

export interface DecodedPayload extends Decoded {
  format: number | undefined;
  size: number;
  isPart: boolean;
}

export function decodedOf(exchange: Exchange, of: 'request' | 'answer', definitions: Definitions): DecodedPayload | undefined {
  const payload = payloadOfExchange(exchange, of);
  if (!payload) return undefined;
  const isDiagnostic = of === 'answer' && exchange.answer !== undefined && /^[45]/.test(exchange.answer.code);
  // The links of a registration, and the text of an error (RFC 7252 section 5.5.2), are no values of a resource.
  const isLinks = of === 'request' && exchange.fromDevice && payload.format === 40;
  const format = isDiagnostic ? -1 : isLinks ? 40 : payload.format;
  return { ...decodePayload(format, payload.bytes, exchange.path, definitions), format: payload.format, size: payload.bytes.length, isPart: payload.isPart };
}

function summary(decoded: Decoded, definitions: Definitions): string {
  if (decoded.text) {
    const text = decoded.text.replaceAll('\n', ', ');
    return text.length > 160 ? `${text.slice(0, 160)}…` : text;
  }
  const shown = decoded.entries.slice(0, VALUES).map((entry) => {
    const definition = definitions(entry.path);
    const value = entryWords(entry, definition);
    const name = definition?.name ?? entry.path;
    return value === '' ? name : `${name} = ${value.length > 80 ? `${value.slice(0, 80)}…` : value}`;
  });
  return shown.join(', ') + (decoded.entries.length > VALUES ? ` and ${decoded.entries.length - VALUES} more` : '');
}

/** Whether a row has all words. */
export function has(row: Row, words: string[]): boolean {
  if (words.length === 0) return true;
  const ids = row.exchange?.steps.slice(0, 4).map(({ message }) => `${message.type} ${message.token}`).join(' ') ?? '';
  const text = `${row.word} ${row.path} ${row.answer} ${row.text} ${row.notes.join(' ')} ${ids}`.toLowerCase();
  return words.every((word) => text.includes(word));
}
