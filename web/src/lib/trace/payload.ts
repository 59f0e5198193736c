/** The payloads of LwM2M as values at paths (Core 1.2, section 7.4), whatever their format. */
import type { ResourceDefinition } from '../api';
import { absolute, resourceValue, unit } from '../format';
import { CborMap, decodeCbor, type Cbor } from './cbor';
import { hex } from './coap';
import { decodeTlv, type Tlv } from './tlv';

/** What is known of the resource at a path. */
export type Definitions = (path: string) => ResourceDefinition | undefined;

export interface Entry {
  path: string;
  /** Undefined where only the path is told, as in a Read-Composite. */
  value?: unknown;
  /** Milliseconds since the epoch, or before the message if it is below 2^28 seconds (RFC 8428 section 4.5.3). */
  at?: number;
}

export interface Decoded {
  entries: Entry[];
  /** What is no list of values: the links of a Discover, a text. */
  text?: string;
  /** Why the rest could not be read. */
  fault?: string;
}

const MOST = 2000;

/** Decodes a payload. `path` is that of the request; a format that names no paths continues it. */
export function decodePayload(format: number | undefined, bytes: Uint8Array, path: string, definitions: Definitions): Decoded {
  const decoded: Decoded = { entries: [] };
  try {
    decodeInto(decoded, format, bytes, path, definitions);
  } catch (error) {
    decoded.fault = error instanceof SyntaxError ? 'it is no JSON' : error instanceof Error ? error.message : String(error);
  }
  if (decoded.entries.length > MOST) {
    decoded.fault = `${decoded.entries.length - MOST} values are not shown`;
    decoded.entries.length = MOST;
  }
  return decoded;
}

function decodeInto(decoded: Decoded, format: number | undefined, bytes: Uint8Array, path: string, definitions: Definitions): void {
  switch (format) {
    case undefined:
    case 0:
      decoded.entries.push({ path, value: typed(text(bytes), definitions(path)) });
      break;
    case 40:
      decoded.text = links(text(bytes)).join('\n');
      break;
    case 42:
      decoded.entries.push({ path, value: hex(bytes) });
      break;
    case 60:
      decoded.entries.push({ path, value: plain(decodeCbor(bytes)) });
      break;
    case 110:
      senml(JSON.parse(text(bytes)), decoded.entries);
      break;
    case 112:
      senml(named(decodeCbor(bytes)), decoded.entries);
      break;
    case 1542:
    case 11542:
      for (const item of decodeTlv(bytes)) tlv(item, path, definitions, decoded.entries);
      break;
    case 1543:
    case 11543:
      oldJson(JSON.parse(text(bytes)), decoded.entries);
      break;
    case 11544:
      tree(decodeCbor(bytes), '', decoded.entries);
      break;
    default:
      decoded.text = isText(bytes) ? text(bytes) : hex(bytes);
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function isText(bytes: Uint8Array): boolean {
  try {
    return !/[\u0000-\u0008\u000e-\u001f]/.test(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return false;
  }
}

/** A text as the value that its definition says (Core 1.2, section 7.4.2). */
function typed(told: string, definition: ResourceDefinition | undefined): unknown {
  switch (definition?.type) {
    case 'integer':
    case 'unsigned_integer':
    case 'float':
    case 'time':
      return told.trim() !== '' && Number.isFinite(Number(told)) ? Number(told) : told;
    case 'boolean':
      return told === '1' ? true : told === '0' ? false : told;
    default:
      return told;
  }
}

/** Links (RFC 6690), each in a line. A comma within quotes divides nothing. */
function links(told: string): string[] {
  return told.match(/(?:"[^"]*"|[^",])+/g) ?? [];
}

interface Record {
  bn?: unknown; bt?: unknown; bv?: unknown; n?: unknown; t?: unknown; v?: unknown; vs?: unknown; vb?: unknown; vd?: unknown; vlo?: unknown;
}

/** The packs of RFC 8428. */
function senml(pack: unknown, entries: Entry[]): void {
  if (!Array.isArray(pack)) throw new Error('a pack of SenML is a list');
  let [name, time] = ['', 0];
  for (const record of pack as Record[]) {
    if (typeof record !== 'object' || record === null) throw new Error('a record of SenML is a map');
    if (typeof record.bn === 'string') name = record.bn;
    if (isNumber(record.bt)) time = Number(record.bt);
    const path = name + (typeof record.n === 'string' ? record.n : '');
    const at = time + (isNumber(record.t) ? Number(record.t) : 0);
    const value = record.v ?? record.vs ?? record.vb ?? record.vd ?? record.vlo;
    entries.push({ path, value: record.vd === undefined ? value : opaque(value), ...(at === 0 ? {} : { at: at * 1000 }) });
  }
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** Bytes in JSON are Base64 for URLs (RFC 8428 section 4.3). */
function opaque(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  try {
    const base64 = String(value).replaceAll('-', '+').replaceAll('_', '/');
    return hex(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    return value;
  }
}

/** The labels of RFC 8428, table 4. */
const LABELS = new Map<Cbor, keyof Record>([[-2, 'bn'], [-3, 'bt'], [-5, 'bv'], [0, 'n'], [6, 't'], [2, 'v'], [3, 'vs'], [4, 'vb'], [8, 'vd'], ['vlo', 'vlo']]);

function named(pack: Cbor): unknown {
  if (!Array.isArray(pack)) throw new Error('a pack of SenML is a list');
  return pack.map((record) => {
    if (!(record instanceof CborMap)) throw new Error('a record of SenML is a map');
    return Object.fromEntries(record.pairs.flatMap(([key, value]) => (LABELS.has(key) ? [[LABELS.get(key) as string, value]] : [])));
  });
}

/** JSON of LwM2M 1.0. */
function oldJson(told: unknown, entries: Entry[]): void {
  const pack = told as { bn?: string; bt?: number; e?: { n?: string; t?: number; v?: number; sv?: string; bv?: boolean; ov?: string }[] };
  if (!Array.isArray(pack?.e)) throw new Error('it has no list "e"');
  for (const one of pack.e) {
    const at = (pack.bt ?? 0) + (one.t ?? 0);
    entries.push({ path: `${pack.bn ?? ''}${one.n ?? ''}`, value: one.v ?? one.sv ?? one.bv ?? one.ov, ...(at === 0 ? {} : { at: at * 1000 }) });
  }
}

/** LwM2M CBOR: maps from a part of a path, a number or several, to what is there (Core 1.2, section 7.4.7). */
function tree(item: Cbor, path: string, entries: Entry[]): void {
  if (!(item instanceof CborMap)) {
    entries.push({ path: path || '/', value: plain(item) });
    return;
  }
  for (const [key, value] of item.pairs) {
    const parts = Array.isArray(key) ? key : [key];
    tree(value, `${path}/${parts.map(String).join('/')}`, entries);
  }
}

/** A value for people: bytes in hexadecimal digits. */
function plain(item: Cbor): unknown {
  if (item instanceof Uint8Array) return hex(item);
  if (Array.isArray(item)) return item.map(plain);
  if (item instanceof CborMap) return item.pairs.map(([key, value]) => [plain(key), plain(value)]);
  return typeof item === 'bigint' ? String(item) : item;
}

function tlv(item: Tlv, path: string, definitions: Definitions, entries: Entry[]): void {
  const base = path === '/' ? '' : path;
  const depth = base.split('/').length - 1;
  const own = (id: number) => `${base}/${id}`;
  if ('children' in item) {
    // A read of one resource or instance has its own id on the outside.
    const level = item.kind === 'instance' ? 1 : 2;
    const at = depth > level && base.endsWith(`/${item.id}`) ? base : own(item.id);
    for (const inner of item.children) tlv(inner, at, definitions, entries);
    return;
  }
  const isOwn = item.kind === 'resource' && depth === 3 && base.endsWith(`/${item.id}`);
  const at = isOwn ? base : own(item.id);
  const resource = at.split('/').slice(0, 4).join('/');
  entries.push({ path: at, value: tlvValue(item.value, definitions(resource)) });
}

/** A value of TLV has no type: its definition says what its bytes are. */
function tlvValue(bytes: Uint8Array, definition: ResourceDefinition | undefined): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (definition?.type) {
    case 'integer':
    case 'unsigned_integer':
    case 'time':
      return integer(view, definition.type !== 'unsigned_integer') ?? hex(bytes);
    case 'float':
      return bytes.length === 4 ? view.getFloat32(0) : bytes.length === 8 ? view.getFloat64(0) : hex(bytes);
    case 'boolean':
      return bytes.length === 1 ? bytes[0] === 1 : hex(bytes);
    case 'objlnk':
      return bytes.length === 4 ? `${view.getUint16(0)}:${view.getUint16(2)}` : hex(bytes);
    case 'opaque':
      return hex(bytes);
    case 'string':
      return text(bytes);
    default:
      return bytes.length > 0 && isText(bytes) ? text(bytes) : `0x${hex(bytes)}`;
  }
}

function integer(view: DataView, isSigned: boolean): number | string | undefined {
  switch (view.byteLength) {
    case 1:
      return isSigned ? view.getInt8(0) : view.getUint8(0);
    case 2:
      return isSigned ? view.getInt16(0) : view.getUint16(0);
    case 4:
      return isSigned ? view.getInt32(0) : view.getUint32(0);
    case 8: {
      const big = isSigned ? view.getBigInt64(0) : view.getBigUint64(0);
      return Number.isSafeInteger(Number(big)) ? Number(big) : String(big);
    }
    default:
      return undefined;
  }
}

/** The value of an entry with its unit, for a person. Times are seconds in all formats. */
export function entryWords(entry: Entry, definition: ResourceDefinition | undefined): string {
  if (entry.value === undefined) return '';
  const isTime = definition?.type === 'time' && isNumber(entry.value);
  const value = isTime ? absolute(Number(entry.value) * 1000) : resourceValue(typeof entry.value === 'bigint' ? String(entry.value) : entry.value, definition ?? {});
  const label = definition?.labels?.[String(entry.value)];
  return [value, unit(definition?.units), label ? `(${label})` : ''].filter(Boolean).join(' ');
}
