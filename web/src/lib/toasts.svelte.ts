/** Short messages about what was just done. A failure stays until it is closed. */
export interface Toast {
  id: number;
  kind: 'good' | 'bad' | 'info';
  text: string;
  link?: { href: string; text: string };
}

class Toasts {
  all = $state<Toast[]>([]);
  #next = 1;

  say(kind: Toast['kind'], text: string, link?: Toast['link']): void {
    const id = this.#next++;
    this.all = [...this.all.slice(-4), link ? { id, kind, text, link } : { id, kind, text }];
    if (kind !== 'bad') setTimeout(() => this.close(id), 6000);
  }

  close(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
