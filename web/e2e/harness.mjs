// What the tests of the page share: a server and a browser for each file, pages that fail their test for an error, and people who sign in.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { context as contextOf, open } from './browser.mjs';
import { World } from './world.mjs';

/** The server and the browser of this file. */
export const stage = { world: undefined, browser: undefined };

/** Text that a page must not run, and that must not turn the direction of text around. */
export const hostile = `<img src=x onerror=alert(1)>"'&\u202e`;

/** Starts a server and a browser before the tests of a file, and fills the server. */
export function set(fill) {
  before(async () => {
    [stage.world, stage.browser] = await Promise.all([new World().start(), open()]);
    await fill(stage.world);
  }, { timeout: 120_000 });
  after(async () => {
    await stage.browser?.close();
    stage.world?.stop();
  });
}

/** A page that fails its test for an error, a refused resource or a request to another host. With BUOY_TALK it prints what the server refused. */
export async function visit(path, { width = 1280, theme = 'light', lenient = false } = {}) {
  const { world, browser } = stage;
  const context = await contextOf(browser, { viewport: { width, height: 800 }, colorScheme: theme, baseURL: world.url, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('dialog', (dialog) => faults.push(`a dialog of the browser: ${dialog.message()}`));
  page.on('console', (message) => message.type() === 'error' && !lenient && faults.push(`${message.text()} ${message.location().url}`));
  page.on('request', (request) => !request.url().startsWith(world.url) && !/^(data|blob):/.test(request.url()) && faults.push(`request to ${request.url()}`));
  page.on('response', async (response) => {
    if (process.env.BUOY_TALK && response.status() >= 400) console.log(response.url(), response.request().postData(), await response.text().catch(() => ''));
  });
  await page.goto(path);
  page.done = async () => {
    await context.close();
    assert.deepEqual(faults, []);
  };
  return page;
}

export const shown = (page, text) => page.getByText(text).first().waitFor();

export async function signIn(page, name, password) {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}
