/** Something that is read from the server, now and again. The last good answer stays visible while it is read anew. */
export class Loaded<T> {
  value = $state.raw<T | undefined>();
  error = $state.raw<unknown>();
  busy = $state(false);

  #read: () => Promise<T>;
  #turn = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = 0;

  constructor(read: () => Promise<T>) {
    this.#read = read;
  }

  async load(): Promise<void> {
    const turn = ++this.#turn;
    this.busy = true;
    this.#last = Date.now();
    try {
      const value = await this.#read();
      // A slow answer doesn't replace a newer one.
      if (turn !== this.#turn) return;
      this.value = value;
      this.error = undefined;
    } catch (error) {
      if (turn === this.#turn) this.error = error;
    } finally {
      if (turn === this.#turn) this.busy = false;
    }
  }

  /** Reads it anew soon, but not more often than each `every` milliseconds. */
  soon(every = 1000): void {
    if (this.#timer) return;
    const wait = Math.max(120, this.#last + every - Date.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.load();
    }, wait);
  }
}
