// A fleet of hundreds, several people, bad networks and hostile names. Run by `npm run e2e`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { hostile, set, shown, signIn, stage, visit } from './harness.mjs';
import { until } from './world.mjs';

let world;
set(async (started) => {
  world = started;
  world.release({ '1.0.0': 'good' });
  // The server reads what devices are a few at a time, in the order in which they come.
  await world.device('buoy-1', '1.0.0');
  await world.swarm(500, 'north', [], { areRead: false });
});

test('a filter is never sent in another form than it is seen', async () => {
  const page = await visit('/jobs?new=1', { lenient: true });
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Path').fill('/3/0/1');
  await dialog.getByText('501 devices get it').waitFor();
  const go = dialog.getByRole('button', { name: 'Read', exact: true });
  // What can't be read as a filter does not fall back to the one before, which was all devices.
  await dialog.getByRole('combobox', { name: 'Devices' }).fill('batery < 5');
  await until('the refusal', async () => go.isDisabled(), 5);
  await page.waitForTimeout(600);
  assert.ok(await go.isDisabled());
  await page.done();
});

test('two people see what the other does', async () => {
  const [one, other] = await Promise.all([visit('/devices/buoy-1?object=3311'), visit('/devices/buoy-1?object=3311')]);
  const toggle = (page) => page.getByRole('region', { name: 'Light Control /3311/0' }).getByRole('switch', { name: 'On/Off' });
  await one.getByRole('button', { name: 'Read /3311/0' }).click();
  await Promise.all([toggle(one).waitFor(), toggle(other).waitFor()]);
  const before = await toggle(other).getAttribute('aria-checked');
  await toggle(one).click();
  await until('the switch of the other', async () => (await toggle(other).getAttribute('aria-checked')) !== before);
  await other.goto('/groups');
  await one.goto('/devices/buoy-1/notes');
  await one.getByLabel('New tag').fill('seen-by-both');
  await one.getByRole('button', { name: 'Add' }).click();
  await one.getByRole('button', { name: 'Remove the tag seen-by-both' }).waitFor();
  await other.goto('/devices?filter=tag%20%3D%20seen-by-both');
  await other.getByRole('link', { name: 'buoy-1' }).waitFor();
  await Promise.all([one.done(), other.done()]);
});

test('a slow network, lost requests and a network that is gone are told, and end by themselves', async () => {
  const page = await visit('about:blank', { lenient: true });
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const slow = { offline: false, latency: 300, downloadThroughput: 100_000, uploadThroughput: 50_000 };
  await session.send('Network.emulateNetworkConditions', slow);
  // Each third request to the interface is lost.
  let count = 0;
  await page.route('**/api/v1/**', (route) => (!route.request().url().includes('/events') && ++count % 3 === 0 ? route.abort('connectionreset') : route.fallback()));
  await page.goto(`${world.url}/devices?prefix=north-00001`);
  for (let round = 0; round < 6 && !(await page.getByRole('link', { name: 'north-000019' }).isVisible()); round += 1) {
    const retry = page.getByRole('button', { name: 'Try again' }).first();
    await Promise.race([retry.waitFor(), page.getByRole('link', { name: 'north-000019' }).waitFor()]);
    if (await retry.isVisible()) await retry.click();
  }
  await page.getByRole('link', { name: 'north-000019' }).waitFor();
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await shown(page, 'Live');
  await page.context().setOffline(true);
  await session.send('Network.emulateNetworkConditions', { ...slow, offline: true });
  await page.getByRole('link', { name: 'north-000019' }).click();
  await page.getByText(/can.?not be reached/).first().waitFor();
  await page.context().setOffline(false);
  await session.send('Network.emulateNetworkConditions', { ...slow, offline: false });
  await page.getByRole('button', { name: 'Try again' }).first().click();
  await page.getByRole('heading', { name: 'north-000019' }).waitFor();
  await page.getByText('Live', { exact: true }).first().waitFor({ timeout: 45_000 });
  await page.done();
});

test('hostile names are text in tooltips, titles, dialogs, messages and exports', async () => {
  const formula = `=HYPERLINK("http://example.org/","${hostile}")`;
  await world.post('/api/v1/devices', { devices: [{ endpoint: hostile, tags: ['trap'] }, { endpoint: formula, tags: ['trap'] }] });
  const trap = { condition: { kind: 'filter', filter: 'tag = trap' }, description: hostile.slice(0, -1), severity: 'critical' };
  const put = await fetch(`${world.url}/api/v1/alert-rules/trap`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(trap) });
  assert.ok(put.ok, await put.text());
  await until('the alert', async () => (await world.get('/api/v1/alerts')).items.some((one) => one.rule === 'trap'));
  world.ctl('write', 'buoy-1', `/1/0/1=301`);
  world.ctl('job', 'read', 'name = "buoy-1"', '/3/0/0', '--name', '<b onmouseover=alert(1)>job');
  const page = await visit('/devices?filter=tag%20%3D%20trap', { lenient: true });
  await page.getByRole('link', { name: /<img src=x/ }).first().waitFor();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /Export/ }).click()]);
  const lines = readFileSync(await file.path(), 'utf8').trim().split('\r\n');
  assert.equal(lines.length, 3);
  assert.ok(lines.some((line) => line.startsWith(`"'=HYPERLINK(""http`)), `a formula is text for a spreadsheet: ${lines}`);
  const of = (name, tab = '') => `/devices/${encodeURIComponent(name)}${tab}`;
  for (const path of ['/devices?filter=tag%20%3D%20trap', '/', '/alerts', '/alerts/rules', '/jobs', '/activity/audit', of(hostile), of(hostile, '/messages'), of(hostile, '/notes'), of(formula)]) {
    await page.goto(path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForTimeout(250);
    const found = await page.evaluate(() => {
      const turning = /[\u0000-\u0008\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;
      const attributes = [...document.querySelectorAll('[title], [aria-label], [placeholder], [alt]')].flatMap((element) => ['title', 'aria-label', 'placeholder', 'alt'].map((name) => element.getAttribute(name) ?? ''));
      return { images: document.querySelectorAll('main img, main b[onmouseover]').length, turning: [document.title, document.body.innerText, ...attributes].filter((text) => turning.test(text)).map((text) => text.slice(0, 80)) };
    });
    assert.deepEqual(found, { images: 0, turning: [] }, path);
  }
  await page.goto(of(hostile));
  await page.getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('button', { name: 'Forget the device…' }).click();
  await page.getByRole('dialog', { name: /Forget <img/ }).waitFor();
  assert.equal(await page.locator('dialog img').count(), 0);
  assert.ok(!(await page.getByRole('dialog').innerText()).includes('\u202e'));
  await page.done();
});

test('by keyboard alone a light is switched, a device is tagged, a rule is made, and a dialog gives the focus back', async () => {
  const page = await visit('/devices/buoy-1?object=3311');
  const { keyboard } = page;
  await page.getByRole('switch', { name: 'On/Off' }).waitFor();
  /** Goes on with Tab until something of this name has the focus. */
  const tabTo = async (name, most = 80) => {
    for (let step = 0; step < most; step += 1) {
      const is = await page.evaluate(() => document.activeElement?.getAttribute('aria-label') || document.activeElement?.labels?.[0]?.innerText || document.activeElement?.innerText || '');
      if (name.test(is.trim())) {
        const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== 'none' || getComputedStyle(document.activeElement.closest('.filter') ?? document.activeElement).boxShadow !== 'none');
        assert.ok(outline, `the focus on ${name} is seen`);
        return;
      }
      await keyboard.press('Tab');
    }
    assert.fail(`${name} is not reached by Tab`);
  };
  const toggle = page.getByRole('switch', { name: 'On/Off' });
  const before = await toggle.getAttribute('aria-checked');
  await tabTo(/^On\/Off/);
  await keyboard.press('Space');
  await until('the light', async () => (await toggle.getAttribute('aria-checked')) !== before);

  await keyboard.press('g');
  await keyboard.press('l');
  await page.waitForURL(/\/alerts$/);
  await tabTo(/^Rules$/);
  await keyboard.press('Enter');
  await page.waitForURL(/\/alerts\/rules$/);
  await page.getByRole('button', { name: 'New rule' }).waitFor();
  await tabTo(/^New rule$/);
  await keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await keyboard.type('by-keyboard');
  await tabTo(/^Devices$/, 12);
  await keyboard.type('state = offl');
  await page.getByRole('option', { name: /offline/ }).waitFor();
  await keyboard.press('ArrowDown');
  await keyboard.press('Enter');
  await tabTo(/^Save$/, 40);
  await keyboard.press('Enter');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByRole('row', { name: /by-keyboard/ }).waitFor();
  assert.match(await page.evaluate(() => document.activeElement.innerText), /New rule/, 'the focus is where it was');
  const rule = (await world.get('/api/v1/alert-rules')).items.find((one) => one.name === 'by-keyboard');
  assert.match(rule.condition.filter, /state = offline/);
  await page.done();
});

test('a command for 500 devices is a job that reaches each of them', async () => {
  const page = await visit('/devices?prefix=north');
  await page.getByText(/^500 of 50\d$/).waitFor();
  await page.getByLabel('Select all that are loaded').check();
  const whole = page.getByRole('button', { name: 'Select all 500 that match' });
  if (await whole.isVisible()) await whole.click();
  await page.getByRole('button', { name: 'Command…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Command').selectOption('Write');
  await dialog.getByLabel('Path').fill('/1/0/1');
  await dialog.getByLabel('Value').fill('333');
  await dialog.getByText('500 devices get it').waitFor();
  await dialog.getByLabel(/^Type 500/).fill('500');
  await dialog.getByRole('button', { name: 'Write', exact: true }).click();
  await page.getByRole('group', { name: /^Job Write/ }).getByText('500 of 500 done').waitFor({ timeout: 60_000 });
  assert.match(world.ctl('read', 'north-000499', '/1/0/1'), /333/);
  await page.done();
});

test('each role is offered what it may do: viewer, operator, operator of a group, admin', async () => {
  await fetch(`${world.url}/api/v1/groups/pilots`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ filter: 'name ~ "north-00000*"' }) });
  const password = 'a long enough pass phrase';
  await world.post('/api/v1/accounts', { name: 'ada', password: `${password} ada`, grants: [{ role: 'admin' }] });
  const admin = await visit('/', { lenient: true });
  await signIn(admin, 'ada', `${password} ada`);
  await shown(admin, 'Live');
  for (const [name, grant] of [['vera', { role: 'viewer' }], ['otto', { role: 'operator' }], ['gus', { role: 'operator', group: 'pilots' }]]) {
    const made = await admin.evaluate(async ([name, password, grant]) => {
      const me = await (await fetch('/api/v1/me')).json();
      const answer = await fetch('/api/v1/accounts', { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': me.csrf }, body: JSON.stringify({ name, password, grants: [grant] }) });
      return answer.status;
    }, [name, `${password} ${name}`, grant]);
    assert.ok(made < 300, `${name}: ${made}`);
  }
  const may = {
    ada: { onboarding: true, audit: true, command: true, rule: true, receiver: true, accounts: true },
    otto: { onboarding: true, audit: false, command: true, rule: true, receiver: false, accounts: false },
    gus: { onboarding: true, audit: false, command: true, rule: false, receiver: false, accounts: false },
    vera: { onboarding: false, audit: false, command: false, rule: false, receiver: false, accounts: false },
  };
  for (const [name, expected] of Object.entries(may)) {
    const page = name === 'ada' ? admin : await visit('/', { lenient: true });
    if (name !== 'ada') await signIn(page, name, `${password} ${name}`);
    await shown(page, 'Live');
    const has = async (path, locator) => {
      await page.evaluate((path) => {
        history.pushState(null, '', path);
        dispatchEvent(new PopStateEvent('popstate'));
      }, path);
      await page.waitForTimeout(100);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.waitForTimeout(200);
      return (await locator.count()) > 0;
    };
    const offered = {
      onboarding: await has('/', page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Onboarding' })),
      audit: await has('/activity', page.getByRole('link', { name: 'Audit log' })),
      command: await has('/devices/north-000001', page.getByRole('button', { name: 'Reboot', exact: true })),
      rule: await has('/alerts/rules', page.getByRole('button', { name: 'New rule' })),
      receiver: await has('/alerts/receivers', page.getByRole('button', { name: /New receiver|Add a receiver/ })),
      accounts: await has('/settings', page.getByRole('heading', { name: 'Accounts' })),
    };
    assert.deepEqual(offered, expected, name);
    if (name === 'gus') {
      // The group is all that it sees.
      await page.goto('/devices');
      await page.getByRole('link', { name: 'north-000009' }).waitFor();
      assert.equal(await page.getByRole('link', { name: 'north-000010' }).count(), 0);
    }
    await page.done();
  }
  assert.ok(stage.browser.isConnected());
});
