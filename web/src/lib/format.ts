/** How times, sizes, numbers and values of resources are written. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in at most two units: "12 s", "9 h 14 min", "3 d 4 h". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return two(whole, MINUTE, 'min', 1, 's', 10);
  if (whole < DAY) return two(whole, HOUR, 'h', MINUTE, 'min', 24);
  return two(whole, DAY, 'd', HOUR, 'h', 14);
}

const UNITS_OF_TIME: [string, number][] = [['d', DAY], ['h', HOUR], ['min', MINUTE], ['s', 1]];

/** A length of time with all its parts, as it is typed in a form: "1 h 30 min". */
export function exactDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const parts = UNITS_OF_TIME.flatMap(([name, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? [`${count} ${name}`] : [];
  });
  return parts.join(' ') || '0 s';
}

/** The seconds of a length of time that a person typed: "90 s", "1 h 30 min", "2d". A number alone has no meaning. */
export function parseDuration(text: string): number | undefined {
  const given = text.trim().toLowerCase();
  if (given === '0') return 0;
  if (!/^(\d+(\.\d+)?\s*(d|h|min|m|s)\s*)+$/.test(given)) return undefined;
  let sum = 0;
  for (const [, count, name] of given.matchAll(/(\d+(?:\.\d+)?)\s*(d|h|min|m|s)/g)) {
    sum += Number(count) * (UNITS_OF_TIME.find(([unit]) => unit === (name === 'm' ? 'min' : name))?.[1] ?? 0);
  }
  return Math.round(sum);
}

/** The smaller unit is left out from `precise` on: nobody needs the seconds of 40 minutes. */
function two(seconds: number, large: number, name: string, small: number, smaller: string, precise: number): string {
  const count = Math.floor(seconds / large);
  const rest = Math.floor((seconds % large) / small);
  return rest === 0 || count >= precise ? `${count} ${name}` : `${count} ${name} ${rest} ${smaller}`;
}

/** A point in time as seen from `now`, both in milliseconds. */
export function ago(at: number, now: number): string {
  const seconds = (now - at) / 1000;
  if (seconds < -1) return `in ${duration(-seconds)}`;
  return seconds < 1 ? 'just now' : `${duration(seconds)} ago`;
}

/** Date and time with the zone, for tooltips. */
export function absolute(at: number, zone?: string): string {
  return new Intl.DateTimeFormat('en-GB', {
    dateStyle: 'medium',
    timeStyle: 'long',
    ...(zone ? { timeZone: zone } : {}),
  }).format(at);
}

/** The time of day, with the date if it is not today's. */
export function clock(at: number, now: number): string {
  const date = new Date(at);
  const time = date.toLocaleTimeString('en-GB');
  if (date.toDateString() === new Date(now).toDateString()) return time;
  return `${date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${time}`;
}

const integers = new Intl.NumberFormat('en-GB');

export function count(number: number): string {
  return integers.format(number);
}

/** "1 device", "12 devices". */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A size in the decimal units that downloads are told in. */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return '0 %';
  const value = (100 * part) / whole;
  // A rest is not rounded away: 99.96 % is not "100 %".
  if (value > 99.9 && value < 100) return '99.9 %';
  if (value > 0 && value < 0.1) return '< 0.1 %';
  return `${Number.isInteger(value) ? value : value.toFixed(1)} %`;
}

/** The units of SenML and of OMA's definitions, as people write them. */
const UNITS: Record<string, string> = {
  Cel: '°C', cel: '°C', F: '°F', K: 'K', '%': '%', '%RH': '% RH', lx: 'lx', lux: 'lx', Pa: 'Pa', hPa: 'hPa', ms: 'ms', s: 's',
  min: 'min', mV: 'mV', V: 'V', mA: 'mA', A: 'A', W: 'W', kWh: 'kWh', Wh: 'Wh', Hz: 'Hz', m: 'm', lat: '°', lon: '°', deg: '°',
  'm/s': 'm/s', 'm/s2': 'm/s²', dBm: 'dBm', dB: 'dB', KB: 'kB', kB: 'kB', B: 'B', bit: 'bit', 'l/s': 'l/s', kg: 'kg', ppm: 'ppm',
};

export function unit(name: string | null | undefined): string {
  return name ? (UNITS[name] ?? name) : '';
}

/** A number with the digits that say something. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return Math.abs(value) >= 100_000 ? integers.format(value) : String(value);
  const digits = Math.abs(value) >= 1000 ? 1 : Math.abs(value) >= 1 ? 2 : 4;
  return value.toFixed(digits);
}

export interface ValueKind {
  type?: string | null;
  units?: string | null;
  name?: string;
}

/** The value of a resource in words; its unit is separate, since it is set apart. */
export function resourceValue(value: unknown, kind: ValueKind, zone?: string): string {
  if (value === null || value === undefined) return 'empty';
  switch (kind.type) {
    case 'boolean':
      return value === true ? 'on' : value === false ? 'off' : String(value);
    case 'time':
      return typeof value === 'number' ? absolute(value, zone) : String(value);
    case 'integer':
    case 'unsigned_integer':
    case 'unsigned':
    case 'float':
      return typeof value === 'number' ? number(value) : String(value);
    case 'opaque':
      return typeof value === 'string' ? opaque(value) : String(value);
    default:
      if (typeof value === 'number') return number(value);
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
}

/** Bytes that are longer than a line are shown by their beginning and length. */
function opaque(hex: string): string {
  return hex.length <= 64 ? hex : `${hex.slice(0, 48)}… (${hex.length / 2} bytes)`;
}

/** The text in which control characters and those that turn the direction of text are visible. */
export function harmless(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (character) => {
    return `\\u{${character.charCodeAt(0).toString(16)}}`;
  });
}

/** Cells of a CSV file (RFC 4180). A cell that a spreadsheet would run as a formula gets an apostrophe. */
export function csv(rows: (string | number | null | undefined)[][]): string {
  const cell = (value: string | number | null | undefined): string => {
    let text = value === null || value === undefined ? '' : String(value);
    if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}
