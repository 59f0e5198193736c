// The Chromium of the system, without its own traffic.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function place() {
  return places.find((path) => path && existsSync(path));
}

export function open() {
  const executablePath = place();
  if (!executablePath) throw new Error('Chromium is missing: apt-get install chromium, or set CHROMIUM to its path');
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  return chromium.launch({ executablePath, args });
}
