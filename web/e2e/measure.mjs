// Measures the page on a server with a long list of devices, and while values change: node e2e/measure.mjs [DEVICES] [MINUTES]
import { context as contextOf, open } from './browser.mjs';
import { until, World } from './world.mjs';

const devices = Number(process.argv[2] ?? 20_000);
const minutes = Number(process.argv[3] ?? 0);
const ROUNDS = 7;
const BATCH = 1000;
/** Devices that each change a value once a second. */
const CHANGING = 1000;

const world = await new World().start();
const browser = await open(['--enable-precise-memory-info', '--js-flags=--expose-gc']);
try {
  for (let first = 0; first < devices; first += BATCH) {
    const some = Array.from({ length: Math.min(BATCH, devices - first) }, (_, at) => ({ endpoint: `buoy-${String(first + at).padStart(6, '0')}`, tags: [at % 10 === 0 ? 'spare' : 'used'] }));
    await world.post('/api/v1/devices', { devices: some });
  }
  await until('all devices', async () => (await world.get('/api/v1/device-counts?by=state')).items.reduce((sum, one) => sum + one.count, 0) === devices, 120);
  const { size, paint } = await firstLoad();
  console.log(`first load:                         ${(size / 1000).toFixed(0)} kB`);
  console.log(`first contentful paint:             ${middle(paint)} ms`);
  const drawn = await filtering();
  console.log(`filter changed, rows drawn:         ${middle(drawn)} ms, the slowest of ${ROUNDS} ${Math.max(...drawn).toFixed(0)} ms, of ${devices} devices`);
  await scrolling();
  if (minutes > 0) await changing();
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
  const page = await newPage();
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
  await page.context().close();
  return took;
}

/** The times between frames while the list is scrolled through: as it is loaded, and with all rows there. */
async function scrolling() {
  const page = await newPage();
  await page.goto('/devices');
  await page.getByRole('link', { name: 'buoy-000000' }).waitFor();
  const first = await frames(page, 240);
  console.log(`scrolled while pages are loaded:    ${told(first)}`);
  const started = Date.now();
  await page.evaluate(async (wanted) => {
    const rows = document.querySelector('.rows');
    while (rows.scrollHeight < wanted) {
      rows.scrollTop = rows.scrollHeight;
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  }, devices * 36);
  console.log(`all ${devices} rows loaded:           after ${((Date.now() - started) / 1000).toFixed(1)} s of scrolling to the end`);
  const before = await heap(page);
  await page.evaluate(() => (document.querySelector('.rows').scrollTop = 0));
  const all = await frames(page, 600);
  const after = await heap(page);
  console.log(`scrolled with all rows there:       ${told(all)}`);
  console.log(`memory of the script:               ${before.toFixed(1)} MB before, ${after.toFixed(1)} MB after that`);
  await page.context().close();
}

function told(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const slow = times.filter((time) => time > 34).length;
  return `a frame each ${middle(times)} ms, 99 of 100 within ${sorted[Math.floor(sorted.length * 0.99)].toFixed(0)} ms, the longest ${sorted.at(-1).toFixed(0)} ms, ${slow} of ${times.length} over 34 ms`;
}

function frames(page, count) {
  return page.evaluate(async (count) => {
    const rows = document.querySelector('.rows');
    const times = [];
    let last = performance.now();
    for (let frame = 0; frame < count; frame += 1) {
      rows.scrollTop += 400;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      times.push(now - last);
      last = now;
    }
    return times;
  }, count);
}

async function newPage() {
  const context = await contextOf(browser, { baseURL: world.url, viewport: { width: 1440, height: 900 } });
  return context.newPage();
}

/** Megabytes that the script holds, without what can be collected. */
function heap(page) {
  return page.evaluate(() => {
    for (let round = 0; round < 4; round += 1) globalThis.gc();
    return performance.memory.usedJSHeapSize / 1e6;
  });
}

/** The list, the overview and the history of a device stay open while a thousand values change each second. */
async function changing() {
  await world.swarm(CHANGING, 'live', ['--measure', '1']);
  world.ctl('job', 'observe', 'name ~ "live*"', '/3303/0/5700');
  const seen = () => metric('buoy_notifications_total');
  await until('the notifications', async () => {
    const first = await seen();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return (await seen()) - first > CHANGING * 0.8;
  }, 120);
  for (const [name, path] of [['overview', '/'], ['list of devices', '/devices?prefix=live'], ['values of a device', '/devices/live-000007?object=3303'], ['history of a device', '/devices/live-000007/history']]) {
    const page = await newPage();
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
    await session.send('Network.enable');
    let bytes = 0;
    session.on('Network.dataReceived', ({ dataLength }) => (bytes += dataLength));
    await page.goto(path);
    await page.getByText('Live', { exact: true }).first().waitFor();
    await page.waitForTimeout(20_000);
    const busy = async () => (await session.send('Performance.getMetrics')).metrics.find((one) => one.name === 'TaskDuration').value;
    const [before, work, at, events] = [await heap(page), await busy(), Date.now(), await seen()];
    const lags = [];
    bytes = 0;
    const end = at + minutes * 60_000;
    while (Date.now() < end) {
      lags.push(await page.evaluate(lag));
      await page.waitForTimeout(1000);
    }
    const seconds = (Date.now() - at) / 1000;
    const after = await heap(page);
    const share = (100 * ((await busy()) - work)) / seconds;
    console.log(`${name}: ${Math.round(((await seen()) - events) / seconds)} changes a second for ${seconds.toFixed(0)} s, ${Math.round(bytes / 1000 / seconds)} kB a second received, thread busy ${share.toFixed(0)} %, longest wait of a timer ${Math.max(...lags).toFixed(0)} ms, memory ${before.toFixed(1)} MB before and ${after.toFixed(1)} MB after`);
    await page.context().close();
  }
}

/** How late the page does what was due at once: it grows if the page falls behind. */
async function lag() {
  const due = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 0));
  return performance.now() - due;
}

async function metric(name) {
  const text = await (await fetch(`${world.url}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
