// The messages of a device: exchanges in words, and a file for Wireshark. Run by `npm run e2e`.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { set, visit } from './harness.mjs';
import { until } from './world.mjs';

let world;
set(async (started) => {
  world = started;
  world.release({ '1.0.0': 'good', '1.1.0': 'good' });
  await Promise.all([world.device('buoy-1', '1.0.0'), world.swarm(2, 'north', ['--measure', '1'])]);
});

const live = (page) => page.getByText(/^live/).first().waitFor();

test('a read is one line with its answer, time and value, in each format of LwM2M', async () => {
  const page = await visit('/devices/buoy-1/messages');
  await live(page);
  for (const [format, words] of [['TLV', 'TLV'], ['SENML_JSON', 'SenML JSON'], ['SENML_CBOR', 'SenML CBOR'], ['TEXT', 'text']]) {
    world.ctl('read', 'buoy-1', '/3/0/3', '--format', format);
    const row = page.getByRole('row', { name: /Read \/3\/0\/3/ }).first();
    await row.getByRole('cell', { name: '2.05 Content' }).waitFor();
    assert.match(await row.innerText(), /\d+ ms|\d s/);
    await row.getByRole('cell', { name: 'Firmware Version = 1.0.0' }).last().waitFor();
    await row.getByRole('button').click();
    await page.getByText(`Answered: ${words}`).waitFor();
    await page.getByRole('cell', { name: '1.0.0', exact: true }).waitFor();
    await row.getByRole('button').click();
    await page.getByRole('button', { name: 'Clear the list' }).click();
  }
  await page.done();
});

test('what fails says so, the list is filtered by words and kind, and waits while it is paused', async () => {
  const page = await visit('/devices/buoy-1/messages');
  await live(page);
  assert.throws(() => world.ctl('read', 'buoy-1', '/3/0/77'));
  world.ctl('read', 'buoy-1', '/3303/0/5700');
  await page.getByRole('row', { name: /4\.04 Not Found/ }).waitFor();
  await page.getByRole('searchbox').fill('sensor value');
  await page.waitForURL(/find=sensor/);
  await page.getByRole('row', { name: /4\.04/ }).waitFor({ state: 'detached' });
  await page.getByRole('row', { name: /Sensor Value = \d/ }).waitFor();
  await page.getByRole('searchbox').fill('');
  await page.getByRole('button', { name: 'Failures' }).click();
  await page.waitForURL(/only=failed/);
  await page.getByRole('row', { name: /4\.04/ }).waitFor();
  assert.equal(await page.getByRole('row', { name: /Sensor Value/ }).count(), 0);
  await page.getByRole('button', { name: 'Failures' }).click();
  await page.getByRole('button', { name: 'Pause' }).click();
  world.ctl('read', 'buoy-1', '/3/0/16');
  await page.getByText('paused, 2 messages held').waitFor();
  assert.equal(await page.getByRole('row', { name: /\/3\/0\/16/ }).count(), 0);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByRole('row', { name: /\/3\/0\/16/ }).waitFor();
  await page.done();
});

test('an observation, its notifications, and one that began before have their paths', async () => {
  const endpoint = 'north-000001';
  const observe = (path) => world.post('/api/v1/operations', { endpoint, request: { observe: { path } }, wait: 5 });
  await observe('/3303/0/5700');
  const page = await visit(`/devices/${endpoint}/messages`);
  await live(page);
  await page.getByRole('row', { name: /Notify \/3303\/0\/5700 .*Sensor Value = /s }).first().waitFor({ timeout: 30_000 });
  await observe('/3/0/9');
  await page.getByRole('row', { name: /Observe \/3\/0\/9/ }).waitFor();
  await page.done();
});

test('an image that is pushed in blocks is one line, and the messages are a file that Wireshark reads', async () => {
  const page = await visit('/devices/buoy-1/messages');
  await live(page);
  world.ctl('firmware', 'upload', 'fw-1.1.0.bin');
  world.ctl('update', 'buoy-1', 'fw-1.1.0.bin', '--delivery', 'push');
  const row = page.getByRole('row', { name: /Write \/5\/0\/0/ }).first();
  await row.getByText(/\d+ blocks of \d+ bytes/).waitFor({ timeout: 30_000 });
  await until('its end', async () => (await world.get('/api/v1/devices/buoy-1')).firmware === '1.1.0');
  assert.equal(await page.getByRole('row', { name: /Write \/5\/0\/0/ }).count(), 1);
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /^pcap/ }).click()]);
  assert.match(file.suggestedFilename(), /^buoy-1-\d{8}T\d{6}Z\.pcap$/);
  const path = await file.path();
  assert.equal(readFileSync(path).readUInt32LE(0), 0xa1b2c3d4);
  const read = spawnSync('tshark', ['-r', path, '-T', 'fields', '-e', '_ws.col.Protocol', '-e', 'coap.opt.uri_path_recon', '-e', '_ws.expert.message'], { encoding: 'utf8' });
  if (read.error) console.log('skipped: tshark reads the file; apt-get install tshark');
  else {
    assert.equal(read.status, 0, read.stderr);
    assert.ok(read.stdout.split('\n').filter(Boolean).every((line) => line.startsWith('CoAP')), read.stdout.slice(0, 500));
    assert.match(read.stdout, /\/5\/0\/0/);
  }
  await page.done();
});

test('a handshake that fails and a session that is established are told in words between the messages', async () => {
  const { key } = await world.post('/api/v1/credentials', { endpoint: 'buoy-2', proof: { psk: {} } });
  await world.post('/api/v1/devices', { devices: [{ endpoint: 'buoy-2' }] });
  const page = await visit('/devices/buoy-2/messages?only=session');
  await live(page);
  const run = (secret) => world.run(['device', '--endpoint', 'buoy-2', '--server', `coaps://${world.coaps}`, '--psk-key', secret, '--flash', 'buoy-2.flash', '--trust', 'release.pub.pem', '--factory', 'fw-1.0.0.bin']);
  const wrong = run('00'.repeat(16));
  await page.getByRole('cell', { name: /a handshake with 127\.0\.0\.1:\d+ failed/ }).last().waitFor();
  wrong.kill('SIGKILL');
  run(key);
  await page.getByRole('cell', { name: /a session with 127\.0\.0\.1:\d+ is established/ }).last().waitFor();
  await page.done();
});
