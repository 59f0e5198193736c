/** The values of a device as they become known: from the operations that read them, from stored series, and live. */
import type { BuoyEvent, Operation, PathValue, ResourceDefinition } from './api';

export interface Known {
  value: unknown;
  type?: string | null;
  at: number;
}

export type Values = Map<string, Known>;

/** Takes in values unless a newer one is known; tells whether anything changed. */
export function take(values: Values, news: PathValue[], at: number): boolean {
  let isChanged = false;
  for (const one of news) {
    const when = one.at ?? at;
    const known = values.get(one.path);
    if (known && known.at > when) continue;
    values.set(one.path, { value: one.value, type: one.type, at: when });
    isChanged = true;
  }
  return isChanged;
}

export function takeEvent(values: Values, event: BuoyEvent): boolean {
  if (event.type !== 'notification' && event.type !== 'send') return false;
  return take(values, event.values, event.at);
}

export function takeOperation(values: Values, operation: Operation): boolean {
  if (operation.state !== 'succeeded' || !operation.values) return false;
  return take(values, operation.values, operation.changed_at);
}

/** The values at a resource: its own, or those of its instances by their ids. */
export function at(values: Values, resource: string): { path: string; instance?: string; known: Known }[] {
  const own = values.get(resource);
  if (own) return [{ path: resource, known: own }];
  const found = [];
  for (const [path, known] of values) {
    if (path.startsWith(`${resource}/`)) found.push({ path, instance: path.slice(resource.length + 1), known });
  }
  return found.sort((a, b) => Number(a.instance) - Number(b.instance));
}

/** Resources that a device has values of although its definition doesn't name them. */
export function undefinedResources(values: Values, instance: string, resources: { id: number }[]): number[] {
  const named = new Set(resources.map((resource) => resource.id));
  const found = new Set<number>();
  for (const path of values.keys()) {
    if (!path.startsWith(`${instance}/`)) continue;
    const id = Number(path.slice(instance.length + 1).split('/')[0]);
    if (!named.has(id)) found.add(id);
  }
  return [...found].sort((a, b) => a - b);
}

/** Whether an observation covers a path: its own, or one above it. */
export function isCovered(path: string, observed: Iterable<string>): boolean {
  for (const one of observed) if (path === one || path.startsWith(`${one}/`)) return true;
  return false;
}

export interface Parsed {
  value?: unknown;
  error?: string;
}

/** Reads what a person typed for a resource of a type and a range. */
export function parse(text: string, definition: Pick<ResourceDefinition, 'type' | 'range'> | undefined): Parsed {
  switch (definition?.type) {
    case 'integer':
    case 'unsigned_integer': {
      if (!/^[+-]?\d+$/.test(text.trim())) return { error: 'It has to be a whole number.' };
      const value = Number(text);
      // JSON numbers beyond this lose digits; the server reads them from text.
      if (!Number.isSafeInteger(value)) return { value: text.trim() };
      return inRange(value, definition.range);
    }
    case 'float': {
      const value = Number(text.trim().replace(',', '.'));
      if (text.trim() === '' || Number.isNaN(value)) return { error: 'It has to be a number.' };
      return inRange(value, definition.range);
    }
    case 'boolean':
      if (text === 'true' || text === 'false') return { value: text === 'true' };
      return { error: 'It is on or off.' };
    case 'opaque':
      if (!/^([0-9a-fA-F]{2})*$/.test(text.trim())) return { error: 'It has to be bytes in hexadecimal digits, two for each byte.' };
      return { value: text.trim() };
    case 'time': {
      const at = Date.parse(text);
      return Number.isNaN(at) ? { error: 'It has to be a date and a time.' } : { value: at };
    }
    case 'objlnk':
      if (!/^\d{1,5}:\d{1,5}$/.test(text.trim())) return { error: 'It has to be an object and an instance, as in 3:0.' };
      return { value: text.trim() };
    default:
      return { value: text };
  }
}

/** Checks a number against a range as definitions write them: "0..100", "0-100". */
function inRange(value: number, range: string | null | undefined): Parsed {
  const bounds = /^\s*(-?\d+(?:\.\d+)?)\s*(?:\.\.|-|to)\s*(-?\d+(?:\.\d+)?)\s*$/.exec(range ?? '');
  if (!bounds) return { value };
  const [least, most] = [Number(bounds[1]), Number(bounds[2])];
  if (value < least || value > most) return { error: `It has to be from ${least} to ${most}.` };
  return { value };
}
