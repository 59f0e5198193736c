// `buoy demo` for tests and pictures: its server, its fleet, and links that sign a browser in.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from './world.mjs';

const buoy = resolve(process.env.BUOY_BIN ?? '../target/debug/buoy');

export class Demo {
  /** What the demo said. */
  told = '';
  #folder = mkdtempSync(join(tmpdir(), 'buoy-web-demo-'));
  #child;
  #ended;

  /** Starts it, and waits for what a visitor opens first. */
  async start(args = []) {
    const env = { ...process.env, TMPDIR: this.#folder, NO_COLOR: '1' };
    this.#child = spawn(buoy, ['demo', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = new Promise((resolve) => this.#child.once('exit', (code) => resolve(code)));
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (bytes) => (this.told += bytes));
    await this.says(/#sign-in=\w+/);
    this.address = /https?:\/\/\S+#sign-in=\w+/.exec(this.told)[0];
    this.url = new URL(this.address).origin;
    this.folder = /\$ cd (\S+)/.exec(this.told)[1];
    this.token = readFileSync(join(this.folder, 'operator.token'), 'utf8');
    return this;
  }

  /** Waits until it says something. */
  async says(what, seconds = 120) {
    await until(`the demo to say ${what}`, () => {
      if (this.#child.exitCode !== null) throw new Error(`the demo ended: ${this.told}`);
      return what.test(this.told);
    }, seconds);
  }

  ctl(...args) {
    const env = { ...process.env, BUOY_SERVER: this.url, BUOY_TOKEN: this.token };
    return execFileSync(buoy, ['ctl', ...args], { env, encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** A link that was not used. */
  link() {
    return this.ctl('account', 'link', 'operator').trim();
  }

  async get(path) {
    const response = await fetch(this.url + path, { headers: { Authorization: `Bearer ${this.token}` } });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** The campaign whose name has this in it. */
  async campaign(words) {
    return (await this.get('/api/v1/campaigns')).items.find((one) => one.plan.name.includes(words));
  }

  /** Ends it by Ctrl-C. Its exit code, and whether its folder is gone. */
  async stop() {
    if (this.#child.exitCode === null) this.#child.kill('SIGINT');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 30_000);
    const code = await this.#ended;
    clearTimeout(timer);
    const isGone = !existsSync(this.folder);
    rmSync(this.#folder, { recursive: true, force: true });
    return { code, isGone };
  }
}
