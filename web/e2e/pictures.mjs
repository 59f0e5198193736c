// Makes the pictures of the guide and of the README from `buoy demo`: cargo xtask pictures. With names only those: node e2e/pictures.mjs overview
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { open } from './browser.mjs';
import { Demo } from './demo.mjs';
import { until } from './world.mjs';

const folder = fileURLToPath(new URL('../../docs/guide/src/pictures/', import.meta.url));
/** Bytes that a picture may have: they are in the repository. */
const MOST = 150_000;
const wanted = process.argv.slice(2);
const temperature = encodeURIComponent('/3303/0/5700');

/** Name, address, and what is done before the picture is taken. */
const pictures = [
  { name: 'overview', path: '/', height: 900, themes: ['light', 'dark'], act: (page) => page.waitForTimeout(4000) },
  { name: 'devices', path: '/devices', width: 1440, height: 700 },
  { name: 'filter', path: `/devices?filter=${encodeURIComponent('battery < 40 and field.site = "North Sea"')}`, width: 1440, height: 420 },
  { name: 'why', path: '/devices/tide-05/firmware', height: 760, themes: ['light', 'dark'] },
  { name: 'values', path: '/devices/tide-02?object=3303', height: 700, act: readAll },
  { name: 'history', path: `/devices/tide-02/history?range=24h&path=${temperature}`, height: 760 },
  { name: 'messages', path: '/devices/buoy-1/messages', height: 640, act: (page) => page.waitForTimeout(6000) },
  { name: 'campaigns', path: '/campaigns', height: 480 },
  { name: 'stopped', campaign: 'weather buoys', height: 980, themes: ['light', 'dark'] },
  { name: 'draft', campaign: 'drifters', height: 620 },
  { name: 'desired', path: '/desired-states/harbour-lights', height: 640 },
  { name: 'jobs', path: '/jobs', height: 420 },
  { name: 'alerts', path: '/alerts', height: 560 },
  { name: 'rules', path: '/alerts/rules', height: 640 },
  { name: 'firmware', path: '/firmware', height: 700 },
  { name: 'onboarding', path: '/onboarding', height: 560 },
  { name: 'audit', path: '/activity/audit?principal=operator/demo', height: 560 },
  { name: 'palette', path: '/devices/tide-05', height: 560, act: (page) => palette(page, 'weather-0') },
];

mkdirSync(folder, { recursive: true });
const demo = await new Demo().start();
const browser = await open();
try {
  await settled();
  for (const theme of ['light', 'dark']) await takeAll(theme);
} finally {
  await browser.close();
  await demo.stop();
}

/** What the pictures show takes a minute: the story, and campaigns that end and stop. */
async function settled() {
  // How full the disk of this machine is is no part of the pictures.
  demo.ctl('alert', 'rule', 'remove', 'disk-full');
  await demo.says(/All 12 steps held/, 180);
  await until('the campaigns', async () => (await demo.campaign('weather')).state === 'paused', 120);
  await until('the device that rolled back', async () => (await demo.campaign('tide')).counts.failed > 0, 120);
  await until('the device that fell silent', async () => (await demo.get('/api/v1/alerts?rule=offline')).items.length > 0, 120);
}

async function takeAll(theme) {
  const context = await browser.newContext({ colorScheme: theme, baseURL: demo.url, deviceScaleFactor: 1.5, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(demo.link());
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();
  for (const { name, path, campaign, width = 1280, height = 860, themes = ['light'], act } of pictures) {
    if (!themes.includes(theme) || (wanted.length > 0 && !wanted.includes(name))) continue;
    await page.setViewportSize({ width, height });
    await page.goto(path ?? `/campaigns/${(await demo.campaign(campaign)).id}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForTimeout(1200);
    await act?.(page);
    await save(page, theme === 'light' ? name : `${name}-${theme}`);
  }
  await context.close();
}

async function readAll(page) {
  await page.getByRole('button', { name: 'Read all' }).click();
  await page.waitForTimeout(5000);
}

async function palette(page, words) {
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').last().fill(words);
  await page.waitForTimeout(700);
}

/** WebP by the browser itself, as good as fits. */
async function save(page, name) {
  const session = await page.context().newCDPSession(page);
  for (const quality of [88, 78, 68, 58]) {
    const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality });
    const bytes = Buffer.from(data, 'base64');
    if (bytes.length > MOST && quality > 58) continue;
    if (bytes.length > MOST) throw new Error(`${name}: ${bytes.length} bytes, and ${MOST} are allowed`);
    writeFileSync(`${folder}${name}.webp`, bytes);
    console.log(`${name}.webp ${Math.round(bytes.length / 1000)} kB`);
    break;
  }
  await session.detach();
}
