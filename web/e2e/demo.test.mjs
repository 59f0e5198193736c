// `buoy demo` as its visitor meets it: a link that signs in, and every place and tab, without a dead end. Run by `npm run e2e`, after `cargo build`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { open } from './browser.mjs';
import { Demo } from './demo.mjs';
import { until } from './world.mjs';

const demo = new Demo();
let browser;
let page;
/** Errors of the page, and requests that failed. */
const faults = [];

before(async () => {
  [browser] = await Promise.all([open(), demo.start()]);
  page = await visitor();
}, { timeout: 180_000 });

after(async () => {
  await browser?.close();
  await demo.stop();
});

async function visitor() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, baseURL: demo.url });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(`${page.url()}: ${message.text()}`));
  page.on('response', (response) => response.status() >= 400 && faults.push(`${response.status()} ${response.request().method()} ${response.url()}`));
  page.on('request', (request) => request.url().includes('sign-in=') && faults.push(`the token of a link is in ${request.url()}`));
  page.on('requestfailed', (request) => {
    // Streams and lists of the page before end when another one is opened.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') faults.push(`${request.failure()?.errorText} ${request.url()}`);
  });
  return page;
}

function healthy() {
  assert.deepEqual(faults.splice(0), []);
}

/** A page that is there, and says neither that something failed nor that there is no such page. */
async function arrived(page, path) {
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.waitForTimeout(120);
  assert.equal(await page.getByText('Nothing is here').count(), 0, path);
  assert.equal(await page.locator('[role=alert]').count(), 0, path);
  healthy();
}

test('the link of the demo signs in once, and leaves the address bar', async () => {
  await page.goto(demo.address);
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();
  assert.equal(page.url(), `${demo.url}/`);
  const me = await page.evaluate(async () => (await fetch('/api/v1/me')).json());
  assert.deepEqual([me.account, me.by], ['operator', 'session']);
  healthy();

  const again = await visitor();
  await again.goto(demo.address);
  await again.getByText(/this link counts no more/).waitFor();
  await again.getByRole('button', { name: 'Sign in' }).waitFor();
  // It was refused, and nobody is signed in.
  assert.ok(faults.splice(0).some((fault) => fault.startsWith('403')));
  await again.goto(demo.link());
  await again.getByRole('navigation', { name: 'Pages' }).waitFor();
  await again.context().close();
  faults.splice(0);
});

test('sixty devices of three models are there, with campaigns, alerts and desired states', async () => {
  await demo.says(/A fleet of 60 devices/);
  const { items } = await demo.get('/api/v1/devices?limit=500&filter=field.site%20is%20set');
  assert.equal(items.length, 61, 'and one that is expected');
  await until('the end of the campaigns', async () => (await demo.campaign('weather')).state === 'paused', 90);
  const stopped = await demo.campaign('weather');
  assert.match(stopped.reason, /stopped itself/);
  await until('the device that rolls back', async () => (await demo.campaign('tide')).counts.failed === 1, 90);
  await until('the first hours of a device', async () => {
    const { items } = await demo.get(`/api/v1/devices/tide-02/series/3303/0/5700?from=${Date.now() - 86_400_000}`);
    return items.some(({ at }) => at < Date.now() - 20 * 3_600_000);
  });
});

test('every place, every tab and what the pages link to can be opened', { timeout: 240_000 }, async () => {
  await page.goto('/');
  const seen = new Set();
  const next = ['/', '/devices', '/groups', '/campaigns', '/campaigns/new', '/jobs', '/desired-states', '/firmware', '/alerts', '/onboarding', '/activity', '/settings', '/devices/tide-05', '/devices/tide-99'];
  /** One of each kind of page is enough: `/devices/NAME/history`, and a filter, of whichever device. */
  const kindOf = (path) => path.replace(/\/devices\/(?!tide-05|tide-99)[^/?]+/, '/devices/*').replace(/=[^&]*/g, '=').replace(/\/[0-9a-f]{64}/, '/DIGEST').replace(/\/(jobs)\/\d+/, '/$1/*');
  while (next.length > 0) {
    const path = next.shift();
    const kind = kindOf(path);
    if (seen.has(kind)) continue;
    seen.add(kind);
    // As a click on a link does.
    await page.evaluate((path) => {
      history.pushState(null, '', path);
      dispatchEvent(new PopStateEvent('popstate'));
    }, path);
    await arrived(page, path);
    const links = await page.locator('a[href^="/"]').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
    next.push(...links.filter((href) => !/^\/(api|metrics)/.test(href) && !href.includes('#')));
  }
  console.log(`${seen.size} kinds of pages: ${[...seen].sort().join(' ')}`);
  assert.ok(seen.size > 50, String(seen.size));
});

test('the campaign that stopped itself says why, and leads to the devices that failed', async () => {
  await page.goto('/campaigns');
  await page.getByRole('link', { name: /weather buoys/ }).click();
  await page.getByText(/stopped itself/).first().waitFor();
  await page.getByRole('link', { name: 'weather-02' }).first().click();
  await page.getByText(/It went back from/).first().waitFor();
  await arrived(page, page.url());
});

test('the prepared campaign is started, and its first devices run the release', { timeout: 180_000 }, async () => {
  await page.goto('/campaigns');
  await page.getByRole('link', { name: /drifters/ }).click();
  await page.getByRole('button', { name: 'Start' }).click();
  const dialog = page.getByRole('dialog');
  if (await dialog.isVisible().catch(() => false)) await dialog.getByRole('button', { name: 'Start' }).click();
  await until('its start', async () => (await demo.campaign('drifters')).state !== 'draft');
  // They sleep for up to a minute.
  await until('a device that runs it', async () => (await demo.campaign('drifters')).counts.confirmed > 0, 150);
  await arrived(page, page.url());
});

test('an alert is taken note of', async () => {
  await page.goto('/alerts?rule=update-failed');
  await page.getByRole('button', { name: /Take note of update-failed of tide-05/ }).click();
  await page.getByText(/noted by operator/).first().waitFor();
  await arrived(page, '/alerts');
});

test('a visitor who signs out signs in again by the password in the folder', async () => {
  await page.goto('/settings');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Name').waitFor();
  faults.splice(0);
  const { readFileSync } = await import('node:fs');
  await page.getByLabel('Name').fill('operator');
  await page.getByLabel('Password').fill(readFileSync(`${demo.folder}/operator.password`, 'utf8'));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
  await arrived(page, '/settings');
});

test('Ctrl-C ends the demo without a trace', { timeout: 180_000 }, async () => {
  await demo.says(/All 12 steps held/);
  assert.doesNotMatch(demo.told, /did not hold|the fleet has ended/);
  const { code, isGone } = await demo.stop();
  assert.deepEqual([code, isGone], [0, true]);
  await assert.rejects(fetch(demo.url));
});
