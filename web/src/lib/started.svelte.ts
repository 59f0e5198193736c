/** The jobs that were started in this tab, so that their progress is shown where they were started. */
import { api, data, type BuoyEvent } from './api';
import { jobEnded, type Job } from './jobs';

class Started {
  jobs = $state.raw<Pick<Job, 'id' | 'name' | 'state' | 'counts'>[]>([]);

  add(job: Job): void {
    this.jobs = [job, ...this.jobs.filter((one) => one.id !== job.id)].slice(0, 5);
    void this.load();
  }

  /** Reads them from the server: events of a quick job come before its request is answered. */
  async load(): Promise<void> {
    const open = this.jobs.filter((one) => one.state === 'running' || one.state === 'stopping');
    await Promise.all(open.map(async ({ id }) => {
      const job = await data(api.GET('/api/v1/jobs/{id}', { params: { path: { id } } })).catch(() => undefined);
      // An event may have told more meanwhile.
      if (job) this.jobs = this.jobs.map((one) => (one.id === id && jobEnded(job.counts) >= jobEnded(one.counts) ? job : one));
    }));
  }

  close(id: number): void {
    this.jobs = this.jobs.filter((one) => one.id !== id);
  }

  take(events: BuoyEvent[]): void {
    for (const event of events) {
      if (event.type !== 'job' || !this.jobs.some((one) => one.id === event.id)) continue;
      const { id, name, state, counts } = event;
      this.jobs = this.jobs.map((one) => (one.id === id ? { id, name, state, counts } : one));
    }
  }
}

export const started = new Started();
