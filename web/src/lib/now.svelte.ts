/** The time, once a second for all that shows how long ago something was. It stands still while nobody looks. */
class Now {
  ms = $state(Date.now());

  start(): void {
    setInterval(() => {
      if (!document.hidden) this.ms = Date.now();
    }, 1000);
    document.addEventListener('visibilitychange', () => (this.ms = Date.now()));
  }
}

export const now = new Now();
