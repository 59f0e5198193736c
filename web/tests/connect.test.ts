import { expect, test } from 'vitest';
import { NAME, reachable, recipes } from '../src/lib/connect';

test('a server that listens on all addresses is reached as the page is', () => {
  expect(reachable('coaps://0.0.0.0:5684', 'buoy.example.org')).toBe('coaps://buoy.example.org:5684');
  expect(reachable('coaps://127.0.0.1:5999', '127.0.0.1')).toBe('coaps://127.0.0.1:5999');
  expect(reachable('coaps://0.0.0.0:5684', 'localhost')).toBe('coaps://127.0.0.1:5684');
  expect(reachable('coaps://[::]:5684', '[2001:db8::1]')).toBe('coaps://[2001:db8::1]:5684');
  expect(reachable('coaps://devices.example.org:5684', 'page.example.org')).toBe('coaps://devices.example.org:5684');
});

test('each recipe has the name, the key and the server', () => {
  for (const { id, text } of recipes('buoy-7', '00ff10', 'coaps://192.0.2.1:5684')) {
    expect(text, id).toContain('buoy-7');
    expect(text, id).toMatch(id === 'esp32' ? /0x00, 0xff, 0x10/ : /00ff10/);
    expect(text, id).toContain('192.0.2.1');
  }
  expect(recipes('ab', '00', 'coaps://192.0.2.1:5684')[1]?.text).toContain('--identity 6162');
});

test('a name that a shell would read as something else is none', () => {
  for (const name of ['buoy-1', 'urn:dev:anjay-1', 'a_b.c']) expect(NAME.test(name)).toBe(true);
  for (const name of ['', '-x', 'a b', '$(id)', "a'b", 'ü', 'x'.repeat(65)]) expect(NAME.test(name)).toBe(false);
});
