/** What the filter box offers while a person types. The server alone decides what a filter means; this only completes words. */

/** The fields of the filter language, each with an example of how it is compared. */
export const FIELDS: { name: string; hint: string }[] = [
  { name: 'name', hint: 'name ~ "north-*"' },
  { name: 'state', hint: 'state = online' },
  { name: 'model', hint: 'model = "buoy-3"' },
  { name: 'manufacturer', hint: 'manufacturer = "Acme"' },
  { name: 'firmware', hint: 'firmware < 1.4.0' },
  { name: 'hardware', hint: 'hardware = "B2"' },
  { name: 'software', hint: 'software = "2.0"' },
  { name: 'serial', hint: 'serial = "0417"' },
  { name: 'group', hint: 'group in (north, south)' },
  { name: 'tag', hint: 'tag = spare' },
  { name: 'object', hint: 'object = 3303' },
  { name: 'battery', hint: 'battery < 30' },
  { name: 'signal', hint: 'signal < -100' },
  { name: 'secure', hint: 'secure = true' },
  { name: 'first_contact', hint: 'first_contact > 2026-01-01' },
  { name: 'last_contact', hint: 'last_contact < 2026-01-01' },
  { name: 'not seen for', hint: 'not seen for 2d' },
  { name: 'value(', hint: 'value(/3303/0/5700) > 25' },
  { name: 'field.', hint: 'field.site = "harbour"' },
];

/** Known values, by field. */
export type Vocabulary = Partial<Record<string, string[]>>;

export interface Offer {
  /** What is shown. */
  text: string;
  hint: string;
  /** The text from here to the caret is replaced. */
  from: number;
  insert: string;
}

/** Whether a text is the beginning of a name rather than a filter. */
export function isName(text: string): boolean {
  return /^[\w.:-]*$/.test(text.trim());
}

/** A text as a value of the language: words stay as they are, others get quotes. */
export function quoted(value: string): string {
  return /^[A-Za-z_][\w-]*$/.test(value) && !/^(and|or|not|in|is|seen|for)$/i.test(value) ? value : `"${value.replace(/(["\\])/g, '\\$1')}"`;
}

/** What could stand at the caret: a field, an operator's value, or a word between two tests. */
export function offers(text: string, caret: number, vocabulary: Vocabulary): Offer[] {
  const before = text.slice(0, caret);
  // Within quotes that are open, the value so far; else the word so far.
  const open = /(?:^|[\s(=~<>,])"([^"]*)$/.exec(before);
  const word = open ? (open[1] as string) : (/[\w.-]*$/.exec(before)?.[0] ?? '');
  const from = caret - word.length - (open ? 1 : 0);
  const head = before.slice(0, from);
  const field = /([\w.]+)\s*(?:!?=|!?~|<=?|>=?|(?:not\s+)?in\s*\((?:[^()]*,)?)\s*$/i.exec(head)?.[1];
  const fits = (value: string) => value.toLowerCase().startsWith(word.toLowerCase()) && value !== word;
  if (field) {
    const values = vocabulary[field.toLowerCase()] ?? [];
    return values.filter(fits).slice(0, 12).map((value) => ({ text: value, hint: field, from, insert: `${quoted(value)} ` }));
  }
  if (open) return [];
  const startsTest = /(^|\(|\b(and|or|not))\s*$/i.test(head);
  if (startsTest) {
    return FIELDS.filter((one) => fits(one.name)).map((one) => ({ text: one.name, hint: one.hint, from, insert: /[(.]$/.test(one.name) ? one.name : `${one.name} ` }));
  }
  // After a whole test.
  if (/["\w)]\s+$/.test(head)) return ['and', 'or'].filter(fits).map((name) => ({ text: name, hint: '', from, insert: `${name} ` }));
  return [];
}

/** The text with an offer taken, and where the caret is then. */
export function taken(text: string, caret: number, offer: Offer): { text: string; caret: number } {
  const rest = text.slice(caret).replace(/^"/, offer.insert.includes('"') ? '' : '"');
  const start = text.slice(0, offer.from) + offer.insert;
  return { text: start + rest.replace(/^\s+/, ''), caret: start.length };
}
