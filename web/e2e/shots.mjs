// Takes pictures of each page, light and dark, in several widths, and says which are too wide: node e2e/shots.mjs [WIDTH…]
// Without BUOY_URL it starts a server with a fleet of its own, which also has the pages of a sign-in.
import { mkdirSync } from 'node:fs';
import { context as contextOf, open } from './browser.mjs';
import { fleet } from './fleet.mjs';

const world = process.env.BUOY_URL ? undefined : await fleet();
const url = process.env.BUOY_URL ?? world.url;
const device = process.env.BUOY_DEVICE ?? 'buoy-1';
const widths = process.argv.slice(2).map(Number);
const pages = {
  overview: '/',
  devices: '/devices',
  'devices-filtered': '/devices?state=asleep',
  'devices-none': '/devices?prefix=nothing-like-this',
  device: `/devices/${device}`,
  'device-temperature': `/devices/${device}?object=3303`,
  history: `/devices/${device}/history`,
  operations: `/devices/${device}/operations`,
  'device-firmware': `/devices/${device}/firmware`,
  'device-desired': `/devices/${device}/desired`,
  messages: `/devices/${device}/messages`,
  credentials: `/devices/${device}/credentials`,
  notes: `/devices/${device}/notes`,
  groups: '/groups',
  campaigns: '/campaigns',
  'campaign-new': '/campaigns/new',
  campaign: '/campaigns/1',
  jobs: '/jobs',
  alerts: '/alerts',
  'alert-rules': '/alerts/rules',
  'alert-rule-new': '/alerts/rules?new=1',
  'alert-silences': '/alerts/silences',
  'alert-receivers': '/alerts/receivers',
  'alert-receiver-new': '/alerts/receivers?new=1',
  'alert-messages': '/alerts/messages',
  'job-new': '/jobs?new=1',
  job: '/jobs/2',
  'desired-states': '/desired-states',
  'desired-state-new': '/desired-states?new=1',
  'desired-state': '/desired-states/makers',
  firmware: '/firmware',
  onboarding: '/onboarding',
  'onboarding-add': '/onboarding/credentials?add=1',
  claims: '/onboarding/claims',
  bootstrap: '/onboarding/bootstrap',
  activity: '/activity',
  audit: '/activity/audit',
  settings: '/settings',
  nothing: '/nothing/here',
};
const wanted = process.env.BUOY_PAGES?.split(',');

mkdirSync(new URL('shots', import.meta.url), { recursive: true });
const browser = await open();
try {
  await take(pages);
  if (world) {
    await world.post('/api/v1/accounts', { name: 'ada', password: 'a long enough pass phrase 1', grants: [{ role: 'admin' }] });
    await take({ 'sign-in': '/' });
  }
} finally {
  await browser.close();
  world?.stop();
}

async function take(some) {
  for (const width of widths.length > 0 ? widths : [360, 768, 1440, 2560]) {
    for (const theme of process.env.BUOY_THEME ? [process.env.BUOY_THEME] : ['light', 'dark']) {
      const context = await contextOf(browser, { viewport: { width, height: width < 700 ? 780 : 900 }, colorScheme: theme, baseURL: url });
      const page = await context.newPage();
      page.on('pageerror', (error) => console.error(`${page.url()}: ${error.message}`));
      page.on('console', (message) => message.type() === 'error' && !message.text().includes('401') && console.error(`${page.url()}: ${message.text()}`));
      for (const [name, path] of Object.entries(some)) {
        if (wanted && !wanted.includes(name)) continue;
        await page.goto(path);
        await page.waitForTimeout(name === 'messages' || name === 'overview' ? 2500 : 700);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth + Math.max(0, (document.querySelector('main')?.scrollWidth ?? 0) - (document.querySelector('main')?.clientWidth ?? 0)));
        if (overflow > 0) console.error(`${name} at ${width}: ${overflow} px too wide`);
        await page.screenshot({ path: new URL(`shots/${name}-${width}-${theme}.png`, import.meta.url).pathname });
      }
      await context.close();
    }
  }
}
