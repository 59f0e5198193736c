// A real server with real devices for a test: processes of the program `buoy` in a folder of their own.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createServer } from 'node:net';

const buoy = resolve(process.env.BUOY_BIN ?? '../target/debug/buoy');

export class World {
  folder = mkdtempSync(join(tmpdir(), 'buoy-web-'));
  #children = new Set();
  #server;

  async start() {
    const [coap, coaps, http, files] = await Promise.all([freePort('udp'), freePort('udp'), freePort(), freePort()]);
    Object.assign(this, { coap: `127.0.0.1:${coap}`, coaps: `127.0.0.1:${coaps}`, http: `127.0.0.1:${http}`, files: `127.0.0.1:${files}` });
    this.url = `http://${this.http}`;
    await this.serve();
    return this;
  }

  /** Starts the server, at the same addresses each time. */
  async serve() {
    const ports = ['--awake-time', '5', '--allow-receivers-in', '127.0.0.1', '--coap', this.coap, '--coaps', this.coaps, '--http', this.http, '--files', this.files];
    this.#server = this.run(['serve', '--data', 'data', ...ports]);
    await until('the server', async () => (await fetch(`${this.url}/readyz`).catch(() => undefined))?.ok);
  }

  /** Ends the server as a power cut would. */
  async kill() {
    const ended = new Promise((resolve) => this.#server.once('exit', resolve));
    this.#server.kill('SIGKILL');
    await ended;
  }

  run(args) {
    const child = spawn(buoy, args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.log = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (child.log = (child.log + bytes).slice(-20_000)));
    child.on('exit', () => this.#children.delete(child));
    return child;
  }

  buoy(...args) {
    return execFileSync(buoy, args, { cwd: this.folder, encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  ctl(...args) {
    return this.buoy('ctl', '--server', this.url, ...args);
  }

  async get(path) {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async post(path, body) {
    const response = await fetch(this.url + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Makes signed images of these versions, each with a behaviour. */
  release(images) {
    this.buoy('fw', 'keygen', 'release');
    for (const [version, behaviour] of Object.entries(images)) {
      this.buoy('fw', 'build', '--release', version, '--behaviour', behaviour, `fw-${version}.bin`);
      this.buoy('fw', 'sign', '--key', 'release.key.pem', `fw-${version}.bin`);
    }
  }

  /** Starts a device with a flash, over DTLS with a key of its own, and waits until it is registered and read. */
  async device(endpoint, version) {
    const { key } = await this.post('/api/v1/credentials', { endpoint, proof: { psk: {} } });
    const { writeFileSync } = await import('node:fs');
    writeFileSync(join(this.folder, `${endpoint}.key`), key);
    const account = ['--server', `coaps://${this.coaps}`, '--psk-key-file', `${endpoint}.key`];
    const flash = ['--flash', `${endpoint}.flash`, '--trust', 'release.pub.pem', '--factory', `fw-${version}.bin`];
    const child = this.run(['device', '--endpoint', endpoint, ...account, ...flash]);
    await until(`${endpoint} to be read`, async () => (await this.get(`/api/v1/devices/${endpoint}`).catch(() => ({}))).firmware === version);
    return child;
  }

  /** Starts many small devices without a flash, and waits until they are registered and the server has read what they are. */
  async swarm(devices, prefix, more = [], { areRead = true } = {}) {
    const child = this.run(['swarm', '--server', `coap://${this.coap}`, '--devices', String(devices), '--prefix', prefix, '--seconds', '3600', '--lifetime', '300', ...more]);
    const count = async () => {
      const { items } = await this.get(`/api/v1/devices?limit=1000&prefix=${prefix}`);
      return items.filter((device) => device.model || !areRead).length;
    };
    await until(`${devices} devices of ${prefix}`, async () => (await count()) === Math.min(devices, 1000));
    return child;
  }

  stop() {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits for something that comes by itself. */
export async function until(what, check, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`it did not come within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function freePort(kind = 'tcp') {
  if (kind === 'udp') {
    const { createSocket } = await import('node:dgram');
    return new Promise((resolve) => {
      const socket = createSocket('udp4').bind(0, '127.0.0.1', () => {
        const { port } = socket.address();
        socket.close(() => resolve(port));
      });
    });
  }
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
