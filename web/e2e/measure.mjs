// Measures the page on a server with a long list of devices: node e2e/measure.mjs [DEVICES]
import { context as contextOf, open } from './browser.mjs';
import { until, World } from './world.mjs';

const devices = Number(process.argv[2] ?? 20_000);
const ROUNDS = 7;
const BATCH = 1000;

const world = await new World().start();
const browser = await open();
try {
  for (let first = 0; first < devices; first += BATCH) {
    const some = Array.from({ length: Math.min(BATCH, devices - first) }, (_, at) => ({ endpoint: `buoy-${String(first + at).padStart(6, '0')}`, tags: [at % 10 === 0 ? 'spare' : 'used'] }));
    await world.post('/api/v1/devices', { devices: some });
  }
  await until('all devices', async () => (await world.get('/api/v1/device-counts?by=state')).items.reduce((sum, one) => sum + one.count, 0) === devices);
  const { size, paint } = await firstLoad();
  const drawn = await filtering();
  const [width, frame] = await scrolling();
  console.log(`first load:                       ${(size / 1000).toFixed(0)} kB`);
  console.log(`first contentful paint:           ${middle(paint)} ms`);
  console.log(`filter typed, rows drawn:         ${middle(drawn)} ms, of ${devices} devices`);
  console.log(`a frame of scrolling, at the worst: ${frame.toFixed(0)} ms, over ${width} rows`);
} finally {
  await browser.close();
  world.stop();
}

function middle(all) {
  return Math.round([...all].sort((a, b) => a - b)[Math.floor(all.length / 2)]);
}

/** Each time with an empty cache. */
async function firstLoad() {
  const paint = [];
  let size = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const context = await contextOf(browser, { baseURL: world.url });
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send('Network.enable');
    size = 0;
    session.on('Network.loadingFinished', (event) => (size += event.encodedDataLength));
    await page.goto('/');
    await page.getByText('Live', { exact: true }).first().waitFor();
    await page.waitForTimeout(500);
    paint.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
    await context.close();
  }
  return { size, paint };
}

/** From the change of the address, which is what a typed filter makes, to the frame that has its rows. */
async function filtering() {
  const page = await browser.newPage({ baseURL: world.url });
  await page.goto('/devices');
  await page.getByRole('link', { name: 'buoy-000000' }).waitFor();
  const took = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const wanted = String(devices - BATCH + round * 10).padStart(6, '0');
    took.push(await page.evaluate(async ([filter, name]) => {
      const start = performance.now();
      history.pushState(null, '', `/devices?${new URLSearchParams({ filter })}`);
      dispatchEvent(new PopStateEvent('popstate'));
      const isThere = () => document.querySelector('.window a')?.textContent === name;
      while (!isThere()) await new Promise(requestAnimationFrame);
      return performance.now() - start;
    }, [`tag = spare and name ~ "buoy-${wanted}*"`, `buoy-${wanted}`]));
  }
  await page.close();
  return took;
}

/** The longest time between two frames while the whole loaded list is scrolled through. */
async function scrolling() {
  const page = await browser.newPage({ baseURL: world.url });
  await page.goto('/devices');
  await page.getByRole('link', { name: 'buoy-000000' }).waitFor();
  const answer = await page.evaluate(async () => {
    const rows = document.querySelector('.rows');
    let worst = 0;
    let last = performance.now();
    for (let frame = 0; frame < 240; frame += 1) {
      rows.scrollTop += 400;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      worst = Math.max(worst, now - last);
      last = now;
    }
    return [Math.round(rows.scrollTop / 36), worst];
  });
  await page.close();
  return answer;
}
