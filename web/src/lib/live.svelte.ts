/**
 * The events of the server, by one connection for the whole tab.
 *
 * After a break the stream goes on where it was (`Last-Event-ID`). If the server can't say what was missed, or the tab was hidden for long,
 * listeners of `resync` read their lists anew. Events reach the views at most once a frame, so that a thousand a second cost one drawing.
 */
import type { BuoyEvent } from './api';
import { session } from './session.svelte';
import { StreamParser } from './sse';

type Listener = (events: BuoyEvent[]) => void;

/** A tab that nobody sees gives its connection back after this time: browsers allow six for a host. */
const HIDDEN_FOR = 30_000;
const LONGEST_PAUSE = 10_000;
/** The server sends a comment at least each 15 seconds. */
const SILENCE = 40_000;

class Live {
  status = $state<'connecting' | 'live' | 'lost'>('connecting');
  /** When the connection was lost. */
  since = $state(Date.now());

  #listeners = new Set<Listener>();
  #resyncs = new Set<() => void>();
  #queue: BuoyEvent[] = [];
  #scheduled = false;
  #lastId: string | undefined;
  #isStarted = false;
  #abort: AbortController | undefined;
  #pause = 500;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hiding: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;

  /** Ends the connection until `start` is called again. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort('hidden');
    this.#lastId = undefined;
    this.status = 'connecting';
  }

  start(): void {
    void this.#connect();
    if (this.#isStarted) return;
    this.#isStarted = true;
    document.addEventListener('visibilitychange', () => {
      clearTimeout(this.#hiding);
      if (document.hidden) this.#hiding = setTimeout(() => this.#abort?.abort('hidden'), HIDDEN_FOR);
      else if (session.me && (!this.#abort || this.#abort.signal.aborted)) this.#retry(0);
    });
    addEventListener('online', () => this.status === 'lost' && this.#retry(0));
  }

  /** Calls `listener` with the events of each frame, until the returned function is called. */
  on(listener: Listener, resync?: () => void): () => void {
    this.#listeners.add(listener);
    if (resync) this.#resyncs.add(resync);
    return () => {
      this.#listeners.delete(listener);
      if (resync) this.#resyncs.delete(resync);
    };
  }

  #retry(pause: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), pause);
  }

  async #connect(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const wasLost = this.status === 'lost';
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (this.#lastId) headers['Last-Event-ID'] = this.#lastId;
      const response = await fetch('/api/v1/events', { headers, signal: abort.signal, cache: 'no-store' });
      if (response.status === 400) this.#lastId = undefined;
      if (response.status === 401) session.ended();
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
      this.status = 'live';
      this.#pause = 500;
      if (wasLost && !headers['Last-Event-ID']) this.#resync();
      await this.#read(response.body);
    } catch {
      // Every end is handled alike below.
    }
    clearTimeout(this.#watchdog);
    if (abort.signal.reason === 'hidden') return;
    if (this.status !== 'lost') this.since = Date.now();
    this.status = 'lost';
    this.#retry(this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = new StreamParser();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (;;) {
      clearTimeout(this.#watchdog);
      this.#watchdog = setTimeout(() => this.#abort?.abort('silent'), SILENCE);
      const { done, value } = await reader.read();
      if (done) return;
      for (const message of parser.push(decoder.decode(value, { stream: true }))) this.#take(message.type, message.data);
      this.#lastId = parser.lastId ?? this.#lastId;
    }
  }

  #take(type: string, text: string): void {
    if (type === 'missed') return this.#resync();
    this.#queue.push(JSON.parse(text) as BuoyEvent);
    if (this.#scheduled) return;
    this.#scheduled = true;
    const flush = () => {
      this.#scheduled = false;
      const events = this.#queue;
      this.#queue = [];
      for (const listener of this.#listeners) listener(events);
    };
    // A hidden tab draws no frames.
    if (document.hidden) setTimeout(flush, 1000);
    else requestAnimationFrame(flush);
  }

  #resync(): void {
    for (const resync of this.#resyncs) resync();
  }
}

export const live = new Live();

/** The device that an event is about. */
export function endpointOf(event: BuoyEvent): string | undefined {
  if (event.type === 'firmware_update') return event.update.endpoint;
  return 'endpoint' in event ? (event.endpoint ?? undefined) : undefined;
}
