// Rules of all kinds and receivers of all kinds, set up on the page. Run by `npm run e2e`.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { set, shown, visit } from './harness.mjs';
import { until } from './world.mjs';

let world;
set(async (started) => {
  world = started;
  await world.swarm(12, 'north');
});

const rules = async () => Object.fromEntries((await world.get('/api/v1/alert-rules')).items.map((rule) => [rule.name, rule]));
const receivers = async () => Object.fromEntries((await world.get('/api/v1/alert-receivers')).items.map((one) => [one.name, one]));

test('a rule of each kind is made with its own numbers, and changed', async () => {
  const page = await visit('/alerts/rules');
  const dialog = page.getByRole('dialog');
  const make = async (name, kind, fill) => {
    await page.getByRole('button', { name: 'New rule' }).click();
    await dialog.getByLabel('Name').fill(name);
    await dialog.getByLabel('Looks for').selectOption(kind);
    await fill();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('cell', { name, exact: false }).first().waitFor();
  };
  await make('overdue', 'devices that match a filter', async () => {
    await dialog.getByRole('combobox', { name: 'Devices' }).fill('state = overdue');
    await dialog.getByText('0 devices match of 12').waitFor();
    await dialog.getByLabel('Fires after').fill('5 min');
    await dialog.getByLabel('Is over when it has not held for').fill('1 min 30 s');
    await dialog.getByLabel('Fires so often').fill('6');
    await dialog.getByLabel('Within this time').fill('2 h');
    await dialog.getByLabel('Tell again after').fill('1 d');
  });
  await make('failed', 'a failed firmware update', () => dialog.getByLabel('Is over after').fill('3 d'));
  await make('loop', 'a device that registers again and again', async () => {
    await dialog.getByLabel('Registrations').fill('9');
    await dialog.getByLabel('Within', { exact: true }).fill('20 min');
  });
  await make('disk', 'a full disk of the server', () => dialog.getByLabel('Less than this is free, %').fill('5'));
  await make('store', 'a store that can’t be written', async () => {});
  await make('ends', 'a certificate that ends soon', () => dialog.getByLabel('Days before its end').fill('14'));
  const made = await rules();
  assert.deepEqual(made.overdue, { ...made.overdue, condition: { kind: 'filter', filter: 'state = overdue' }, for: 300, resolve_after: 90, flapping: { times: 6, within: 7200 }, repeat: 86_400 });
  assert.deepEqual(made.failed.condition, { kind: 'update_failed', clears_after: 3 * 86_400 });
  assert.deepEqual(made.loop.condition, { kind: 'reboot_loop', times: 9, within: 1200 });
  assert.deepEqual([made.disk.condition.free_percent, made.store.condition.kind, made.ends.condition.days], [5, 'store', 14]);

  await page.getByRole('button', { name: 'Edit loop' }).click();
  assert.equal(await dialog.getByLabel('Registrations').inputValue(), '9');
  await dialog.getByLabel('Within', { exact: true }).fill('soon');
  await dialog.getByText('Write it as in 90 s').waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Save' }).isDisabled());
  await dialog.getByLabel('Within', { exact: true }).fill('25 min');
  await dialog.getByLabel('Severity').selectOption('critical');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual(await rules().then(({ loop }) => [loop.condition, loop.severity]), [{ kind: 'reboot_loop', times: 9, within: 1500 }, 'critical']);
  await page.done();
});

test('a webhook is made with a secret that is shown once, tested, changed without its URL, and told of an alert', async (context) => {
  const got = [];
  const hook = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes) => (body += bytes));
    request.on('end', () => {
      got.push({ path: request.url, signature: request.headers['buoy-signature'], ...JSON.parse(body) });
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => hook.once('listening', resolve));
  context.after(() => {
    hook.close();
    hook.closeAllConnections();
  });
  const url = `http://127.0.0.1:${hook.address().port}/very-secret-path`;
  const page = await visit('/alerts/receivers', { lenient: true });
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Add a receiver' }).click();
  await dialog.getByLabel('Name').fill('on-call');
  await dialog.getByLabel('URL').fill('ftp://127.0.0.1/');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText(/neither https:\/\/ nor http:\/\//).waitFor();
  await dialog.getByLabel('URL').fill(url);
  await dialog.getByLabel('A message waits for more alerts').fill('0 s');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('This secret is shown once.').waitFor();
  const secret = await dialog.locator('code').nth(1).innerText();
  assert.match(secret, /^[0-9a-f]{64}$/);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('button', { name: 'Test on-call' }).click();
  await shown(page, /on-call: the test was accepted/);
  assert.equal(got[0].type, 'test');
  assert.ok(got[0].signature);

  await page.getByRole('button', { name: 'Edit on-call' }).click();
  const html = await page.content();
  assert.ok(!html.includes(secret) && !html.includes('very-secret-path'), 'secrets are not shown again');
  assert.equal(await dialog.getByLabel('URL').inputValue(), '');
  await dialog.getByLabel('Is told from').selectOption('critical');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal((await receivers())['on-call'].severity, 'critical');

  world.ctl('alert', 'rule', 'add', 'north-is-there', '--filter', 'name = "north-000003"', '--severity', 'critical');
  await until('the message', () => got.find((one) => one.rule === 'north-is-there' && one.firing === 1));
  assert.equal(got.at(-1).path, '/very-secret-path');
  await page.goto('/alerts/messages');
  await page.getByRole('row', { name: /delivered on-call north-is-there/ }).first().waitFor();
  await page.done();
});

test('Slack, mail, MQTT and NATS are set up, shown without their passwords, and removed', async () => {
  const page = await visit('/alerts/receivers');
  const dialog = page.getByRole('dialog');
  const make = async (name, kind, fields) => {
    await page.getByRole('button', { name: 'New receiver' }).click();
    await dialog.getByLabel('Name').fill(name);
    await dialog.getByLabel('Kind').selectOption(kind);
    for (const [label, text] of Object.entries(fields)) await dialog.getByLabel(label, { exact: true }).fill(text);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
  };
  await make('channel', 'Slack, Mattermost, Rocket.Chat', { URL: 'https://hooks.example.org/T0/hidden-part' });
  await make('mail', 'Mail', { Server: 'smtps://mail.example.org', From: 'buoy@example.org', To: 'ops@example.org, more@example.org', User: 'buoy', Password: 'hidden-part' });
  await make('broker', 'MQTT', { Server: 'mqtts://broker.example.org', Topic: 'buoy/alerts', User: 'buoy', Password: 'hidden-part' });
  await make('bus', 'NATS', { Server: 'tls://nats.example.org', Subject: 'buoy.alerts' });
  await page.getByRole('row', { name: /bus/ }).waitFor();
  assert.ok(!(await page.content()).includes('hidden-part'));
  await page.getByRole('button', { name: 'Edit mail' }).click();
  assert.equal(await dialog.getByLabel('To', { exact: true }).inputValue(), 'ops@example.org, more@example.org');
  assert.equal(await dialog.getByLabel('Password').inputValue(), '');
  await dialog.getByLabel('To', { exact: true }).fill('ops@example.org');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual((await receivers()).mail.settings, { kind: 'email', server: 'smtps://mail.example.org', user: 'buoy', from: 'buoy@example.org', to: ['ops@example.org'] });
  for (const name of ['channel', 'mail', 'broker', 'bus']) {
    await page.getByRole('button', { name: `Remove ${name}` }).click();
    await dialog.getByRole('textbox').fill(name);
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await dialog.waitFor({ state: 'detached' });
  }
  assert.deepEqual(Object.keys(await receivers()), ['on-call']);
  await page.done();
});

test('a rule names who is told, and a silence begins later and counts for a time', async () => {
  const page = await visit('/alerts/rules');
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Edit overdue' }).click();
  await dialog.getByLabel('on-call').check();
  await dialog.getByText('1 receiver is told.').waitFor();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual((await rules()).overdue.receivers, ['on-call']);
  await page.goto('/alerts/silences');
  await page.getByRole('button', { name: 'New silence' }).click();
  await dialog.getByRole('combobox', { name: 'Devices' }).fill('name ~ "north*"');
  await dialog.getByLabel('For', { exact: true }).fill('1 h 30 min');
  await dialog.getByLabel('From').fill('2040-01-02T03:04');
  await dialog.getByLabel('Why').fill('the works');
  await dialog.getByRole('button', { name: 'Silence' }).click();
  await page.getByRole('row', { name: /the works/ }).getByText('does not count').waitFor();
  const silence = (await world.get('/api/v1/alert-silences')).items.find((one) => one.comment === 'the works');
  assert.equal(silence.until - silence.from, 5400_000);
  assert.equal(silence.filter, 'name ~ "north*"');
  await page.done();
});
