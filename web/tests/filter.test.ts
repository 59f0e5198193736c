import { expect, test } from 'vitest';
import { isName, offers, quoted, taken } from '../src/lib/filter';

const vocabulary = { model: ['buoy-3', 'tide 1'], state: ['online', 'asleep'], group: ['north', 'south'] };
const at = (text: string) => offers(text, text.length, vocabulary).map((offer) => offer.text);

test('fields are offered where a test begins', () => {
  expect(at('')).toContain('model');
  expect(at('mo')).toEqual(['model']);
  expect(at('state = online and (fi')).toEqual(['firmware', 'first_contact', 'field.']);
  expect(at('not ba')).toEqual(['battery']);
});

test('values are offered after a comparison, in quotes or not, and in lists', () => {
  expect(at('model = ')).toEqual(['buoy-3', 'tide 1']);
  expect(at('model = "ti')).toEqual(['tide 1']);
  expect(at('state = on')).toEqual(['online']);
  expect(at('group in (north, s')).toEqual(['south']);
  expect(at('unknown = ')).toEqual([]);
});

test('after a test comes and, or', () => {
  expect(at('state = online ')).toEqual(['and', 'or']);
  expect(at('state = online a')).toEqual(['and']);
});

test('an offer replaces what was typed of it, with the quotes that it needs', () => {
  const text = 'model = "ti" and secure = true';
  const caret = 'model = "ti'.length;
  const offer = offers(text, caret, vocabulary)[0];
  expect(offer && taken(text, caret, offer)).toEqual({ text: 'model = "tide 1" and secure = true', caret: 'model = "tide 1" '.length });
  expect([quoted('online'), quoted('a "b"'), quoted('not'), quoted('1.4.0')]).toEqual(['online', '"a \\"b\\""', '"not"', '"1.4.0"']);
});

test('a single word is the beginning of a name', () => {
  expect([isName('north-04'), isName(''), isName('state = online'), isName('"x"')]).toEqual([true, true, false, false]);
});
