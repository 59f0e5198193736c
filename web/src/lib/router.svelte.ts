/** The address of the page: a path of segments, and parameters. Everything that a person would send a colleague stands in it. */

class Router {
  path = $state(location.pathname);
  query = $state(new URLSearchParams(location.search));

  constructor() {
    addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#click(event));
  }

  /** The decoded segments of the path. */
  get segments(): string[] {
    return this.path.split('/').filter(Boolean).map(decode);
  }

  go(to: string, { replace = false, keepScroll = false } = {}): void {
    if (to === location.pathname + location.search) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', to);
    this.#read();
    if (!keepScroll) document.querySelector('main')?.scrollTo(0, 0);
  }

  /** Changes parameters; `undefined` and '' remove one. */
  set(changes: Record<string, string | undefined>, { replace = true } = {}): void {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined || value === '') query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    this.go(this.path + (text ? `?${text}` : ''), { replace, keepScroll: true });
  }

  #read(): void {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest('a');
    if (!link || link.target || link.origin !== location.origin || link.hasAttribute('download')) return;
    if (/^\/(api|metrics|readyz|healthz)(\/|$)/.test(link.pathname)) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export const router = new Router();

/** On a phone the tab that is open may lie beyond the edge of its row. */
export function showTab(): void {
  setTimeout(() => {
    const tab = document.querySelector<HTMLElement>('.tabs [aria-current]');
    if (tab?.parentElement) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - (tab.parentElement.clientWidth - tab.offsetWidth) / 2;
  });
}

/** The address of a device's page. */
export function deviceLink(endpoint: string, tab = ''): string {
  return `/devices/${encodeURIComponent(endpoint)}${tab ? `/${tab}` : ''}`;
}

/** The address of a desired state. */
export function desiredLink(name: string): string {
  return `/desired-states/${encodeURIComponent(name)}`;
}

/** The address of the list of devices with a filter. */
export function devicesLink(filter: Record<string, string>): string {
  return `/devices?${new URLSearchParams(filter)}`;
}
