// The Chromium of the system, without its own traffic.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function place() {
  return places.find((path) => path && existsSync(path));
}

export function open(more = []) {
  const executablePath = place();
  if (!executablePath) throw new Error('Chromium is missing: apt-get install chromium, or set CHROMIUM to its path');
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', ...more];
  return chromium.launch({ executablePath, args });
}

/**
 * A context of the browser. With BUOY_PAGE its page is that of a folder, such as `dist` after `npm run build`, instead of the one that the program
 * has in itself: then the program need not be built anew. The policy of the server is kept.
 */
export async function context(browser, options = {}) {
  const context = await browser.newContext(options);
  const folder = process.env.BUOY_PAGE && resolve(process.env.BUOY_PAGE);
  if (!folder) return context;
  await context.route((url) => !/^\/(api|readyz|healthz|metrics)(\/|$)/.test(url.pathname), async (route) => {
    const { pathname } = new URL(route.request().url());
    const file = join(folder, pathname);
    const isFile = pathname.includes('.') && existsSync(file);
    if (!isFile && /^\/assets\//.test(pathname)) return route.fulfill({ status: 404 });
    const types = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', woff2: 'font/woff2' };
    const contentType = isFile ? types[pathname.split('.').at(-1)] : 'text/html; charset=utf-8';
    const headers = isFile ? {} : (await route.fetch({ headers: { Accept: 'text/html' } })).headers();
    delete headers['content-length'];
    delete headers['content-encoding'];
    await route.fulfill({ status: 200, headers: { ...headers, 'content-type': contentType }, body: readFileSync(isFile ? file : join(folder, 'index.html')) });
  });
  return context;
}
