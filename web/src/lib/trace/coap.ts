/** The parts of a CoAP message in words (RFC 7252, RFC 7959, RFC 7641). */
import type { Schema } from '../api';

export type Traced = Schema['TracedMessage'];

/** From RFC 7252 section 12.1.2, RFC 7959 section 2.9, RFC 8132 and RFC 8516. */
const CODES: Record<string, string> = {
  '0.00': 'Empty', '0.01': 'GET', '0.02': 'POST', '0.03': 'PUT', '0.04': 'DELETE', '0.05': 'FETCH', '0.06': 'PATCH', '0.07': 'iPATCH',
  '2.01': 'Created', '2.02': 'Deleted', '2.03': 'Valid', '2.04': 'Changed', '2.05': 'Content', '2.31': 'Continue',
  '4.00': 'Bad Request', '4.01': 'Unauthorized', '4.02': 'Bad Option', '4.03': 'Forbidden', '4.04': 'Not Found', '4.05': 'Method Not Allowed',
  '4.06': 'Not Acceptable', '4.08': 'Request Entity Incomplete', '4.09': 'Conflict', '4.12': 'Precondition Failed', '4.13': 'Request Entity Too Large',
  '4.15': 'Unsupported Content-Format', '4.22': 'Unprocessable Entity', '4.29': 'Too Many Requests',
  '5.00': 'Internal Server Error', '5.01': 'Not Implemented', '5.02': 'Bad Gateway', '5.03': 'Service Unavailable', '5.04': 'Gateway Timeout', '5.05': 'Proxying Not Supported',
};

/** A method by its name, and an answer by its code and name. */
export function codeWords(code: string): string {
  const name = CODES[code];
  if (!name) return code;
  return code.startsWith('0.') ? name : `${code} ${name}`;
}

export function isRequest(message: Traced): boolean {
  return message.code.startsWith('0.') && message.code !== '0.00';
}

export function isResponse(message: Traced): boolean {
  return /^[2-5]\./.test(message.code);
}

/** The value of the first option of a name. */
export function option(message: Traced, name: string): string | undefined {
  return message.options.find((one) => one.name === name)?.value;
}

export function numberOf(message: Traced, name: string): number | undefined {
  const value = option(message, name);
  return value === undefined ? undefined : Number(value === '' ? 0 : value);
}

/** Path and query of a request, as people write them. */
export function target(message: Traced): { path: string; query: string } {
  const all = (name: string) => message.options.filter((one) => one.name === name).map((one) => one.value);
  return { path: `/${all('Uri-Path').join('/')}`, query: all('Uri-Query').join('&') };
}

export interface Block {
  number: number;
  more: boolean;
  size: number;
}

/** Block1 is a part of a request, Block2 one of an answer (RFC 7959 section 2.2). */
export function block(message: Traced, name: 'Block1' | 'Block2'): Block | undefined {
  const value = numberOf(message, name);
  if (value === undefined || !Number.isInteger(value) || value < 0 || value > 0xffffff) return undefined;
  return { number: value >>> 4, more: (value & 8) !== 0, size: 2 ** ((value & 7) + 4) };
}

const FORMATS: Record<number, string> = {
  0: 'text', 40: 'link format', 42: 'bytes', 50: 'JSON', 60: 'CBOR', 110: 'SenML JSON', 112: 'SenML CBOR',
  1542: 'TLV', 1543: 'LwM2M JSON', 11542: 'TLV', 11543: 'LwM2M JSON', 11544: 'LwM2M CBOR',
};

export function formatWords(format: number | undefined): string {
  return format === undefined ? 'no format named' : (FORMATS[format] ?? `format ${format}`);
}

/** The options that the target does not show, in words. */
export function optionsWords(message: Traced): string {
  const shown = message.options.filter((one) => !one.name.startsWith('Uri-'));
  return shown.map(({ name, value }) => {
    if (name === 'Content-Format' || name === 'Accept') return `${name} ${formatWords(Number(value || 0))}`;
    const part = name === 'Block1' || name === 'Block2' ? block(message, name) : undefined;
    if (part) return `${name} ${part.number} of ${part.size} bytes${part.more ? ', more follow' : ', the last'}`;
    if (name === 'Observe' && isRequest(message)) return value === '1' ? 'Observe, end' : 'Observe, begin';
    return value === '' ? name : `${name} ${value}`;
  }).join(', ');
}

/** Bytes from hexadecimal digits; what are no digits end them. */
export function unhex(digits: string): Uint8Array {
  const pairs = digits.match(/[0-9a-f]{2}/gi) ?? [];
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The payload: the end of the message, as long as the server says. */
export function payloadOf(message: Traced): Uint8Array {
  const told = message.payload ?? '';
  if (told === '') return new Uint8Array();
  const digits = told.startsWith('0x') && message.bytes.endsWith(`ff${told.slice(2)}`) ? told.slice(2) : undefined;
  return digits === undefined ? new TextEncoder().encode(told) : unhex(digits);
}
