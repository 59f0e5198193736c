/** Who uses the page. The value against forged requests is held in memory only; the cookie of the sign-in can't be read by scripts. */
import type { Schema } from './api';

export type Me = Schema['Me'];
type Role = Schema['Role'];

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

class Session {
  /** Undefined until it is known; null if nobody is signed in. */
  me = $state.raw<Me | null>();
  setup = $state.raw<Schema['SetupState']>();
  error = $state.raw<unknown>();
  /** Why the link that the page was opened by does not sign in. */
  linkFault = $state.raw<string>();

  get csrf(): string | undefined {
    return this.me?.csrf ?? undefined;
  }

  /** Whether some grant has at least this role: for a group alone, the server decides for each device. */
  may(role: Role): boolean {
    return (this.me?.grants ?? []).some((grant) => RANK[grant.role] >= RANK[role]);
  }

  /** Whether this role is held for everything. */
  mayEverywhere(role: Role): boolean {
    return (this.me?.grants ?? []).some((grant) => !grant.group && RANK[grant.role] >= RANK[role]);
  }

  async load(): Promise<void> {
    try {
      const token = tokenOfLink();
      if (token && (await this.#signInBy(token))) return;
      const response = await fetch('/api/v1/me', { cache: 'no-store' });
      if (response.ok) {
        this.me = (await response.json()) as Me;
      } else if (response.status === 401) {
        this.setup = (await (await fetch('/api/v1/setup', { cache: 'no-store' })).json()) as Schema['SetupState'];
        this.me = null;
      } else {
        throw new Error(`the server answered ${response.status}`);
      }
      this.error = undefined;
    } catch (error) {
      this.error = error;
    }
  }

  async #signInBy(token: string): Promise<boolean> {
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch('/api/v1/sign-in/link', { method: 'POST', headers, body: JSON.stringify({ token }) });
    const body = (await response.json()) as Me & Schema['Problem'];
    if (response.ok) this.me = body;
    this.linkFault = response.ok ? undefined : body.detail;
    return response.ok;
  }

  /** The server takes the sign-in no more: it ended, or the account was disabled. */
  ended(): void {
    if (!this.me) return;
    this.me = null;
    void this.load();
  }
}

/** The one-time token of a link stands in the fragment, which browsers send to nobody; it leaves the address bar and the history at once. */
function tokenOfLink(): string | undefined {
  const token = /^#sign-in=([0-9a-z]+)$/.exec(location.hash)?.[1];
  if (token) history.replaceState(null, '', location.pathname + location.search);
  return token;
}

export const session = new Session();
