// The first run: a new server, a key, a device that is started as the page says, and what is done with it. Run by `npm run e2e`, after `cargo build`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { open } from './browser.mjs';
import { World } from './world.mjs';

const program = resolve(process.env.BUOY_BIN ?? '../target/debug/buoy');
const shells = new Set();
let world;
let browser;

before(async () => {
  [world, browser] = await Promise.all([new World().start(), open()]);
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  for (const shell of shells) process.kill(-shell.pid, 'SIGKILL');
  world?.stop();
});

/** Types something into a shell, in a folder of its own. */
function type(folder, text) {
  mkdirSync(join(world.folder, folder), { recursive: true });
  const env = { ...process.env, PATH: `${dirname(program)}${delimiter}${process.env.PATH}`, BUOY_SERVER: world.url };
  const shell = spawn('sh', ['-euc', text], { cwd: join(world.folder, folder), env, detached: true, stdio: 'ignore' });
  shells.add(shell);
  const ended = new Promise((resolve) => shell.once('exit', (code) => { shells.delete(shell); resolve(code); }));
  return { shell, ended };
}

test('a first device is connected, read, observed, switched and updated, as the page says', { timeout: 240_000 }, async () => {
  const faults = [];
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, baseURL: world.url });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto('/');
  await page.getByRole('heading', { level: 1, name: 'Connect the first device' }).waitFor();
  await page.getByRole('link', { name: 'Connect a device' }).click();
  const name = page.getByLabel('Name of the device');
  await name.fill('a b');
  assert.ok(await page.getByRole('button', { name: 'Make its key' }).isDisabled());
  await name.fill('lamp-1');
  await page.getByRole('button', { name: 'Make its key' }).click();
  await page.getByText('Waiting for lamp-1').waitFor();

  // Each kind of device has the key and the server filled in.
  const command = page.locator('pre.cmd').first();
  const simulated = await command.innerText();
  const key = /printf %s ([0-9a-f]{32,})/.exec(simulated)[1];
  for (const [kind, part] of [['Linux', key], ['ESP32', `0x${key.slice(0, 2)}, 0x${key.slice(2, 4)}`], ['Zephyr', `PSK="${key}"`], ['Simulated', key]]) {
    await page.getByRole('button', { name: kind, exact: true }).click();
    const text = await command.innerText();
    assert.ok(text.includes(part) && text.includes(world.coaps.split(':')[1]) && text.includes('lamp-1'), text);
  }

  // One with another key is refused, and the page says so.
  const wrong = type('wrong', simulated.replaceAll(key, '00'.repeat(key.length / 2)));
  await page.getByText('It knocked and was refused').waitFor();
  process.kill(-wrong.shell.pid, 'SIGKILL');
  await wrong.ended;

  type('lamp', simulated);
  await page.getByText('lamp-1 is here').waitFor();
  await page.getByRole('button', { name: 'Read', exact: true }).click();
  await page.getByText('Simulated buoy').first().waitFor();
  await page.getByRole('button', { name: 'Observe', exact: true }).click();
  await page.getByText(/→ .* °C/).waitFor();
  await page.getByRole('button', { name: 'Switch it on' }).click();
  await page.getByText('The light is on').waitFor();
  await page.getByRole('button', { name: 'Switch it off' }).click();
  await page.getByText('The light is off').waitFor();

  const build = await page.locator('pre.cmd').last().innerText();
  assert.equal(await type('lamp', build).ended, 0, build);
  const files = ['fw-1.1.bin', 'fw-1.1.bin.sig'].map((file) => join(world.folder, 'lamp', file));
  await page.locator('input[type=file]').setInputFiles(files);
  await page.getByRole('button', { name: 'Update to 1.1.0' }).click();
  await page.getByText('That was all of it').waitFor({ timeout: 120_000 });
  assert.equal((await world.get('/api/v1/devices/lamp-1')).firmware, '1.1.0');
  // The key is on the page as long as it is open, and nowhere else.
  assert.equal(await page.evaluate((key) => JSON.stringify({ ...localStorage, ...sessionStorage }).includes(key), key), false);
  await page.reload();
  await page.getByText('lamp-1 is here').waitFor();
  assert.equal(await page.getByText(key).count(), 0);
  assert.deepEqual(faults, []);
  await context.close();
});
