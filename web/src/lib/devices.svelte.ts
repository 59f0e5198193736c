/** The list of devices that match a filter: read in pages as one scrolls, changed in place by events. */
import { api, data, type BuoyEvent, type Device } from './api';
import { endpointOf } from './live.svelte';

export interface Filter {
  prefix?: string;
  state?: string;
  manufacturer?: string;
  model?: string;
  firmware?: string;
  object?: string;
  filter?: string;
}

const FIRST_PAGE = 100;
const PAGE = 1000;

export function queryOf(filter: Filter): Record<string, string | number> {
  const query: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(filter)) if (value) query[name] = name === 'object' ? Number(value) : value;
  return query;
}

/** What an event says of a device's row; undefined if it says nothing that the list shows. */
export function changed(device: Device, event: BuoyEvent): Device | undefined {
  switch (event.type) {
    case 'registered':
    case 'updated':
      return { ...device, state: 'online', last_contact: event.at, registration: event.registration };
    case 'awake':
      return { ...device, state: 'online', last_contact: event.at };
    case 'sleeping':
      return { ...device, state: 'asleep' };
    case 'deregistered':
    case 'expired': {
      const { registration: _, ...rest } = device;
      return { ...rest, state: 'offline' };
    }
    case 'notification':
    case 'send':
      return { ...device, last_contact: event.at };
    default:
      return undefined;
  }
}

export class DeviceList {
  /** Not reactive by themselves: `version` says when they changed, so that 300,000 rows cost no more than 30. */
  rows: Device[] = [];
  version = $state(0);
  complete = $state(false);
  busy = $state(false);
  error = $state.raw<unknown>();
  /** Devices that appeared since the list was read. */
  waiting = $state(0);

  #places = new Map<string, number>();
  #new = new Set<string>();
  #filter: Filter = {};
  #next: string | undefined;
  #turn = 0;
  #reading: Promise<void> | undefined;

  /** Reads the list from its beginning. */
  async read(filter: Filter): Promise<void> {
    this.#turn += 1;
    this.#filter = filter;
    this.#next = undefined;
    this.complete = false;
    this.busy = false;
    await this.#read(FIRST_PAGE, true);
  }

  /** Reads the next page, or waits for the one that is being read. */
  async more(): Promise<void> {
    if (this.complete || this.error) return;
    await (this.#reading ?? this.#read(PAGE, false));
  }

  async #read(limit: number, isFirst: boolean): Promise<void> {
    const reading = this.#page(limit, isFirst);
    this.#reading = reading;
    await reading;
    if (this.#reading === reading) this.#reading = undefined;
  }

  async #page(limit: number, isFirst: boolean): Promise<void> {
    const turn = this.#turn;
    this.busy = true;
    try {
      const query = { ...queryOf(this.#filter), limit, ...(this.#next ? { after: this.#next } : {}) };
      const page = await data(api.GET('/api/v1/devices', { params: { query } }));
      if (turn !== this.#turn) return;
      if (isFirst) {
        this.rows = [];
        this.#places.clear();
        this.#new.clear();
        this.waiting = 0;
      }
      for (const device of page.items) {
        this.#places.set(device.endpoint, this.rows.length);
        this.rows.push(device);
      }
      this.#next = page.next ?? undefined;
      this.complete = !page.next;
      this.error = undefined;
      this.version += 1;
    } catch (error) {
      if (turn === this.#turn) this.error = error;
    } finally {
      if (turn === this.#turn) this.busy = false;
    }
  }

  /** Takes in what happened. */
  take(events: BuoyEvent[]): void {
    let isChanged = false;
    for (const event of events) {
      const endpoint = endpointOf(event);
      if (!endpoint) continue;
      const place = this.#places.get(endpoint);
      if (place === undefined) {
        if (event.type === 'registered' && this.#mayBelong(endpoint)) this.#new.add(endpoint);
        continue;
      }
      const device = changed(this.rows[place] as Device, event);
      if (!device) continue;
      this.rows[place] = device;
      isChanged = true;
    }
    if (this.waiting !== this.#new.size) this.waiting = this.#new.size;
    if (isChanged) this.version += 1;
  }

  /** Whether a new device could stand in the part of the list that is read. */
  #mayBelong(endpoint: string): boolean {
    // Only the server knows whether a device matches a filter.
    if (this.#filter.filter) return false;
    if (this.#filter.prefix && !endpoint.startsWith(this.#filter.prefix)) return false;
    const last = this.rows.at(-1);
    return this.complete || !last || endpoint < last.endpoint;
  }
}
