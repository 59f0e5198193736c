import { expect, test } from 'vitest';
import { parseMetrics } from '../src/lib/metrics';
import { StreamParser } from '../src/lib/sse';

test('messages are read however the bytes are cut', () => {
  const text = ': hello\n\nid: 5a-1\n\nevent: registered\ndata: {"a":1}\nid: 5a-2\n\ndata: one\r\ndata: two\r\n\r\n';
  const expected = [
    { id: '5a-2', type: 'registered', data: '{"a":1}' },
    { id: '5a-2', type: 'message', data: 'one\ntwo' },
  ];
  for (const length of [1, 2, 3, 7, text.length]) {
    const parser = new StreamParser();
    const messages = [];
    for (let start = 0; start < text.length; start += length) messages.push(...parser.push(text.slice(start, start + length)));
    expect(messages, `pieces of ${length}`).toEqual(expected);
    expect(parser.lastId).toBe('5a-2');
  }
});

test('metrics are summed over the shards', () => {
  const sums = parseMetrics('# HELP buoy_x X\n# TYPE buoy_x counter\nbuoy_x{shard="0"} 2\nbuoy_x{shard="1"} 3\nbuoy_store_failing 0\n');
  expect([...sums]).toEqual([['x', 5], ['store_failing', 0]]);
});
