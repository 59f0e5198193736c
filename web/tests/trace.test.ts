import { expect, test } from 'vitest';
import { decodeCbor } from '../src/lib/trace/cbor';
import { block, optionsWords, unhex, type Traced } from '../src/lib/trace/coap';
import { Conversation, payloadOfExchange } from '../src/lib/trace/exchanges';
import { decodePayload, entryWords, type Definitions } from '../src/lib/trace/payload';
import { captureName, checksum, parseAddress, pcap } from '../src/lib/trace/pcap';
import { rowOfExchange } from '../src/lib/trace/rows';

const resource = (id: number, name: string, type: string, units?: string) => ({ id, name, type, units, mandatory: false, multiple: false, operations: 'R' });
const known = new Map([
  ['3/0', resource(0, 'Manufacturer', 'string')], ['3/9', resource(9, 'Battery Level', 'integer', '%')], ['3/13', resource(13, 'Current Time', 'time')],
  ['3303/5700', resource(5700, 'Sensor Value', 'float', 'Cel')], ['3311/5850', resource(5850, 'On/Off', 'boolean')],
]);
const definitions: Definitions = (path) => {
  const [, object, , id] = path.split('/');
  return known.get(`${object}/${id}`);
};

const ascii = (text: string) => new TextEncoder().encode(text);
const told = (format: number | undefined, bytes: Uint8Array, path = '/3/0') => {
  const { entries, fault } = decodePayload(format, bytes, path, definitions);
  return fault ?? entries.map((entry) => `${entry.path} = ${entryWords(entry, definitions(entry.path))}`);
};

test('the same values are read from each format of LwM2M', () => {
  const both = ['/3/0/0 = Open', '/3/0/9 = 87 %'];
  expect(told(11542, unhex('c8000' + '44f70656e' + 'c10957'))).toEqual(both);
  expect(told(11543, ascii('{"bn":"/3/0/","e":[{"n":"0","sv":"Open"},{"n":"9","v":87}]}'))).toEqual(both);
  expect(told(110, ascii('[{"bn":"/3/0/","n":"0","vs":"Open"},{"n":"9","v":87}]'))).toEqual(both);
  // [{-2: "/3/0/", 0: "0", 3: "Open"}, {0: "9", 2: 87}]
  expect(told(112, unhex('82a321652f332f302f006130' + '03644f70656e' + 'a200613902' + '1857'))).toEqual(both);
  // {3: {0: {0: "Open", 9: 87}}}, and the same with paths in lists
  expect(told(11544, unhex('a103a100a200644f70656e091857'))).toEqual(both);
  expect(told(11544, unhex('a1820300a200644f70656e091857'))).toEqual(both);
  expect(told(0, ascii('14.25'), '/3303/0/5700')).toEqual(['/3303/0/5700 = 14.25 °C']);
  expect(told(60, unhex('fb402c800000000000'), '/3303/0/5700')).toEqual(['/3303/0/5700 = 14.25 °C']);
  expect(told(42, unhex('00ff'), '/5/0/0')).toEqual(['/5/0/0 = 00ff']);
});

test('values of TLV get their types from the definitions, and instances their paths', () => {
  expect(told(11542, unhex('e4164441640000'), '/3303/0/5700')).toEqual(['/3303/0/5700 = 14.25 °C']);
  expect(told(11542, unhex('e116da01'), '/3311/0')).toEqual(['/3311/0/5850 = on']);
  expect(told(11542, unhex('03' + '00' + 'c10957'), '/3')).toEqual(['/3/0/9 = 87 %']);
  expect(told(11542, unhex('860b' + '4100' + '01' + '4101' + '05'), '/3/0/11')).toEqual(['/3/0/11/0 = 0x01', '/3/0/11/1 = 0x05']);
});

test('times of SenML are kept, relative or absolute', () => {
  const { entries } = decodePayload(110, ascii('[{"bn":"/3303/0/5700","bt":1700000000,"v":1},{"t":-5,"v":2}]'), '/3303/0/5700', definitions);
  expect(entries.map((entry) => entry.at)).toEqual([1_700_000_000_000, 1_699_999_995_000]);
  expect(decodePayload(110, ascii('[{"n":"/3303/0/5700","t":-60,"v":1}]'), '/', definitions).entries[0]?.at).toBe(-60_000);
});

test('bytes that are no payload of their format are told, and never end the page', () => {
  expect(told(112, unhex('8'))).toContain('early');
  expect(told(110, ascii('{'))).toBe('it is no JSON');
  expect(told(11542, unhex('c8ff'))).toContain('ends within');
  expect(decodePayload(112, unhex('81'.repeat(40)), '/', definitions).fault).toContain('deeper');
  expect(decodePayload(112, unhex('9b7fffffffffffffff'), '/', definitions).fault).toBeDefined();
  expect(decodePayload(11544, unhex('bb7fffffffffffffff'), '/', definitions).fault).toBeDefined();
  expect(decodePayload(112, unhex('5f' + '41'.repeat(1) + '00ff'), '/', definitions).fault).toBeDefined();
  let seed = 7;
  const random = () => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) >> 8;
  for (let round = 0; round < 500; round += 1) {
    const bytes = Uint8Array.from({ length: random() % 40 }, () => random() & 255);
    for (const format of [0, 40, 42, 60, 110, 112, 11542, 11543, 11544, 9999]) expect(() => decodePayload(format, bytes, '/3/0', definitions)).not.toThrow();
  }
}, 60_000);

test('numbers of CBOR have all their sizes', () => {
  expect(decodeCbor(unhex('f93c00'))).toBe(1);
  expect(decodeCbor(unhex('fa41640000'))).toBe(14.25);
  expect(decodeCbor(unhex('3863'))).toBe(-100);
  expect(decodeCbor(unhex('1bffffffffffffffff'))).toBe(18446744073709551615n);
  expect(decodeCbor(unhex('c48221196ab3'))).toBeCloseTo(273.15);
});

let clock = 1_700_000_000_000;
function message(incoming: boolean, type: string, code: string, id: number, token: string, options: Record<string, string> = {}, payload?: string, after = 10): Traced {
  clock += after;
  const list = Object.entries(options).flatMap(([name, value]) => (name === 'Uri-Path' ? value.split('/').map((part) => ({ name, value: part })) : [{ name, value }]));
  return { at: clock, incoming, type, code, message_id: id, token, options: list, payload: payload ?? null, bytes: JSON.stringify([incoming, type, code, id, token, options, payload]) };
}

test('a request and its answer are one line with the time between them, and a repetition is counted', () => {
  const conversation = new Conversation();
  const request = message(false, 'CON', '0.01', 1, 'aa', { 'Uri-Path': '3/0/9' });
  conversation.add(request);
  conversation.add({ ...request, at: request.at + 2000 });
  clock += 2000;
  conversation.add(message(true, 'ACK', '2.05', 1, 'aa', { 'Content-Format': '0' }, '87', 40));
  expect(conversation.exchanges).toHaveLength(1);
  const row = rowOfExchange(conversation.exchanges[0]!, definitions);
  expect([row.word, row.path, row.answer, row.took, row.text]).toEqual(['Read', '/3/0/9', '2.05 Content', '2.04 s', 'Battery Level = 87 %']);
  expect(row.notes).toEqual(['one message sent again']);
  expect(conversation.exchanges[0]!.steps[0]!.again).toEqual([request.at + 2000]);
});

test('an answer that comes after its acknowledgement belongs to its request, with its own acknowledgement', () => {
  const conversation = new Conversation();
  conversation.add(message(false, 'CON', '0.01', 1, 'aa', { 'Uri-Path': '3/0/9' }));
  conversation.add(message(true, 'ACK', '0.00', 1, ''));
  expect(rowOfExchange(conversation.exchanges[0]!, definitions).answer).toBe('acknowledged, no answer yet');
  conversation.add(message(true, 'CON', '2.05', 900, 'aa', {}, '87'));
  conversation.add(message(false, 'ACK', '0.00', 900, ''));
  expect(conversation.exchanges).toHaveLength(1);
  expect(conversation.exchanges[0]).toMatchObject({ took: 20, steps: { length: 4 } });
});

test('notifications are lines of their own under the path of their observation', () => {
  const conversation = new Conversation();
  conversation.add(message(false, 'CON', '0.01', 1, 'aa', { Observe: '', 'Uri-Path': '3303/0/5700' }));
  conversation.add(message(true, 'ACK', '2.05', 1, 'aa', { Observe: '1' }, '14'));
  conversation.add(message(true, 'CON', '2.05', 50, 'aa', { Observe: '2' }, '15'));
  conversation.add(message(false, 'ACK', '0.00', 50, ''));
  expect(conversation.exchanges.map((one) => `${one.action} ${one.path}`)).toEqual(['Observe /3303/0/5700', 'Notify /3303/0/5700']);
  expect(rowOfExchange(conversation.exchanges[1]!, definitions).text).toBe('Sensor Value = 15 °C');
  // One that began before the trace gets its path from the event of the server, and later ones by their token.
  conversation.add(message(true, 'NON', '2.05', 60, 'bb', { Observe: '7' }, '1'));
  conversation.name(clock + 3, ['/3/0/9']);
  conversation.add(message(true, 'NON', '2.05', 61, 'bb', { Observe: '8' }, '2'));
  expect(conversation.exchanges.slice(2).map((one) => one.path)).toEqual(['/3/0/9', '/3/0/9']);
});

test('the blocks of a transfer are one line, and its payload is put together', () => {
  const conversation = new Conversation();
  const parts = ['{"bn":"/3/0/","e":[{', '"n":"9","v":87}]}'];
  // Block1: number × 16, 8 if more follow, 0 for 16 bytes.
  parts.forEach((part, number) => {
    conversation.add(message(false, 'CON', '0.03', 10 + number, `c${number}`, { 'Uri-Path': '3/0', 'Content-Format': '11543', Block1: String(number * 16 + (number < 1 ? 8 : 0)) }, part));
    conversation.add(message(true, 'ACK', number < 1 ? '2.31' : '2.04', 10 + number, `c${number}`));
  });
  expect(conversation.exchanges).toHaveLength(1);
  expect(payloadOfExchange(conversation.exchanges[0]!, 'request')).toMatchObject({ format: 11543, isPart: false });
  expect(rowOfExchange(conversation.exchanges[0]!, definitions)).toMatchObject({ word: 'Write', answer: '2.04 Changed', text: 'Battery Level = 87 %', notes: ['2 blocks of 16 bytes'] });
  const parts2 = ['14.', '25'];
  parts2.forEach((part, number) => {
    conversation.add(message(false, 'CON', '0.01', 20 + number, `d${number}`, { 'Uri-Path': '3303/0/5700', ...(number > 0 ? { Block2: String(number * 16) } : {}) }));
    conversation.add(message(true, 'ACK', '2.05', 20 + number, `d${number}`, { 'Content-Format': '0', Block2: String(number * 16 + (number < 1 ? 8 : 0)) }, part));
  });
  expect(conversation.exchanges).toHaveLength(2);
  expect(rowOfExchange(conversation.exchanges[1]!, definitions).text).toBe('Sensor Value = 14.25 °C');
});

test('the memory of a long trace is bounded', () => {
  const conversation = new Conversation();
  for (let id = 0; id < 5000; id += 1) conversation.add(message(true, 'NON', '2.05', id & 0xffff, id.toString(16), { Observe: '1' }, '1'));
  expect(conversation.exchanges.length).toBe(2000);
  expect(conversation.messages).toBe(2000);
});

test('what the device asks has its name, and an error its words', () => {
  const conversation = new Conversation();
  conversation.add(message(true, 'CON', '0.02', 1, 'aa', { 'Uri-Path': 'rd/1', 'Uri-Query': 'lt=60' }));
  conversation.add(message(false, 'ACK', '4.04', 1, 'aa'));
  conversation.add(message(false, 'CON', '0.02', 2, 'bb', { 'Uri-Path': '3/0/4' }));
  conversation.add(message(true, 'RST', '0.00', 2, ''));
  const rows = conversation.exchanges.map((one) => rowOfExchange(one, definitions));
  expect(rows.map((row) => [row.word, row.answer, row.kinds])).toEqual([
    ['Update', '4.04 Not Found', ['told', 'failed']],
    ['Execute', 'Reset', ['asked', 'failed']],
  ]);
});

test('options are told in words', () => {
  expect(block(message(false, 'CON', '0.01', 1, '', { Block2: '46' }), 'Block2')).toEqual({ number: 2, more: true, size: 1024 });
  expect(optionsWords(message(false, 'CON', '0.01', 1, '', { Accept: '112', Observe: '', Block2: '6' }))).toBe('Accept SenML CBOR, Observe, begin, Block2 0 of 1024 bytes, the last');
});

test('a capture has the packets with right lengths and sums, for IPv4 and IPv6', () => {
  const ping = { ...message(true, 'CON', '0.00', 1, ''), bytes: '40000102' };
  const file = pcap([ping], '192.0.2.7:1000');
  const view = new DataView(file.buffer);
  expect([view.getUint32(0, true), view.getUint32(20, true), view.getUint32(32, true)]).toEqual([0xa1b2c3d4, 101, 32]);
  const packet = [...file.slice(40)];
  expect(checksum(packet.slice(0, 20))).toBe(0);
  expect(checksum([...packet.slice(12, 20), 0, 17, 0, 12, ...packet.slice(20)])).toBe(0);
  const six = [...pcap([ping], '[2001:db8::7]:1000').slice(40)];
  expect(checksum([...six.slice(8, 40), 0, 0, 0, 12, 0, 0, 0, 17, ...six.slice(40)])).toBe(0);
});

test('addresses are read in both forms, and others are not', () => {
  expect(parseAddress('[::ffff:192.0.2.1]:5')?.ip).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1]);
  expect(parseAddress('[::1]:5683')).toEqual({ ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: 5683 });
  expect([parseAddress('300.0.0.1:1'), parseAddress('1.2.3.4:99999'), parseAddress('sms:123')]).toEqual([undefined, undefined, undefined]);
});

test('a file is named after the device and the time, without letters that a system may not take', () => {
  expect(captureName('buoy-1', Date.UTC(2026, 0, 2, 3, 4, 5))).toBe('buoy-1-20260102T030405Z.pcap');
  expect(captureName('../<img src=x>\u202e', 0)).toMatch(/^img_src_x_-1970/);
});
