/** The jobs that were started in this tab, so that their progress is shown where they were started. */
import type { BuoyEvent } from './api';
import type { Job } from './jobs';

class Started {
  jobs = $state.raw<Pick<Job, 'id' | 'name' | 'state' | 'counts'>[]>([]);

  add(job: Job): void {
    this.jobs = [job, ...this.jobs.filter((one) => one.id !== job.id)].slice(0, 5);
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
