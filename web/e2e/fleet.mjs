// A server with a fleet to look at: devices that work, sleep, are away or fail, campaigns in several states, jobs, and desired states.
import { until, World } from './world.mjs';

/** Fills a server. It takes about a minute. */
export async function fleet() {
  const world = await new World().start();
  try {
    await fill(world);
  } catch (error) {
    world.stop();
    throw error;
  }
  return world;
}

async function fill(world) {
  world.release({ '1.0.0': 'good', '1.1.0': 'good', '1.2.0': 'fail-self-test' });
  await world.swarm(8, 'reef', ['--queue']);
  await Promise.all([world.device('buoy-1', '1.0.0'), world.device('buoy-2', '1.0.0'), world.swarm(40, 'north'), world.swarm(12, 'tide', ['--updates', '--crash', '40', '--on', '1.1.0'])]);
  const away = await world.swarm(3, 'wreck');
  away.kill('SIGKILL');
  for (const version of ['1.1.0', '1.2.0']) world.ctl('firmware', 'upload', `fw-${version}.bin`);
  world.ctl('group', 'set', 'harbour', '--description', 'All that lie in the harbour', '--filter', 'name ~ "reef*"');
  world.ctl('group', 'set', 'pilots', '--description', 'The first of each model', '--parent', 'harbour');
  world.ctl('note', 'buoy-1', '--tag', 'spare', '--group', 'pilots', '--field', 'site=Kiel');
  await world.post('/api/v1/devices', { devices: [{ endpoint: 'expected-1', tags: ['spare'], groups: ['pilots'] }] });
  for (const path of ['/3/0', '/3303/0', '/3311/0']) world.ctl('read', 'buoy-1', path);
  world.ctl('observe', 'buoy-1', '/3303/0/5700', '--count', '3', '--keep');
  world.ctl('filter', 'save', 'cold', 'value(/3303/0/5700) < 10');
  campaign(world, ['1.1 to the tide', '--firmware', 'fw-1.1.0.bin', '--filter', 'name ~ "tide*"', '--waves', '4,100%', '--start']);
  campaign(world, ['1.2 to the buoys', '--firmware', 'fw-1.2.0.bin', '--filter', 'name ~ "buoy*"', '--start']);
  campaign(world, ['1.1 to all', '--firmware', 'fw-1.1.0.bin', '--waves', '1%,10%,100%']);
  world.ctl('job', 'read', 'all', '/3/0/9');
  world.ctl('job', 'write', 'name ~ "north-00000*"', '/3/0/0=Nobody');
  world.ctl('job', 'write', 'name ~ "reef*" or name ~ "north-00001*"', '/1/0/1=280');
  world.ctl('desired', 'set', 'lifetimes', '--filter', 'all', '/1/0/1=300');
  world.ctl('desired', 'set', 'north', '--filter', 'name ~ "north*"', '--priority', '10', '/1/0/1=320', '--observe', '/3303/0/5700,pmin=10');
  world.ctl('desired', 'set', 'makers', '--filter', 'name ~ "buoy*"', '/3/0/0=Nobody');
  world.ctl('alert', 'rule', 'add', '--defaults');
  world.ctl('alert', 'rule', 'add', 'reef-is-there', '--filter', 'name ~ "reef*"', '--severity', 'info', '--description', 'Devices of the reef are known');
  world.ctl('alert', 'rule', 'add', 'cold', '--filter', 'name ~ "north-00000*"', '--severity', 'critical', '--description', 'The water is too cold for the turbine; switch the heating on');
  await fetch(`${world.url}/api/v1/alert-receivers/on-call`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ target: { kind: 'webhook', url: 'http://127.0.0.1:9/hook' }, group_wait: 0 }) });
  await fetch(`${world.url}/api/v1/alert-receivers/mail`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ target: { kind: 'email', server: 'smtps://mail.example.org', from: 'buoy@example.org', to: ['ops@example.org'] } }) });
  await world.post('/api/v1/alert-silences', { rule: 'cold', filter: 'name = "north-000001"', until: Date.now() + 7_200_000, comment: 'The turbine is being repaired' });
  await until('an end', async () => (await world.get('/api/v1/campaigns')).items.some((one) => one.state === 'done' || one.state === 'paused'), 90).catch(() => {});
}

function campaign(world, given) {
  try {
    world.ctl('campaign', 'add', ...given);
  } catch (error) {
    console.error(String(error.stderr ?? error).trim());
  }
}

