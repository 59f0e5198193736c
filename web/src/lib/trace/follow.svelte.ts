/** The messages of one device, by a connection that lives as long as somebody looks at them. */
import { StreamParser } from '../sse';
import { session } from '../session.svelte';
import type { Traced } from './coap';

const LONGEST_PAUSE = 10_000;

export class Trace {
  status = $state<'connecting' | 'live' | 'lost'>('connecting');

  #abort = new AbortController();
  #queue: Traced[] = [];
  #isScheduled = false;
  #pause = 500;

  /** Calls `take` with the messages of each frame until `stop`. */
  constructor(
    readonly endpoint: string,
    readonly take: (messages: Traced[]) => void,
  ) {
    void this.#follow();
  }

  stop(): void {
    this.#abort.abort();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const url = `/api/v1/devices/${encodeURIComponent(this.endpoint)}/trace`;
        const response = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal, cache: 'no-store' });
        if (response.status === 401) session.ended();
        if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
        this.status = 'live';
        this.#pause = 500;
        await this.#read(response.body);
      } catch {
        // Each end is handled alike below.
      }
      if (signal.aborted) return;
      this.status = 'lost';
      await new Promise((resolve) => setTimeout(resolve, this.#pause));
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    }
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = new StreamParser();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const message of parser.push(decoder.decode(value, { stream: true }))) this.#push(JSON.parse(message.data) as Traced);
    }
  }

  #push(message: Traced): void {
    this.#queue.push(message);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const flush = () => {
      this.#isScheduled = false;
      const messages = this.#queue;
      this.#queue = [];
      if (!this.#abort.signal.aborted) this.take(messages);
    };
    // A hidden tab draws no frames.
    if (document.hidden) setTimeout(flush, 1000);
    else requestAnimationFrame(flush);
  }
}
