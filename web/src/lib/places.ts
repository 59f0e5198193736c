/** The pages of the rail, in its order, with their icons and keys, and with the role without which the server shows nothing of them. */
import Bell from '@lucide/svelte/icons/bell';
import Activity from '@lucide/svelte/icons/activity';
import ChartColumnStacked from '@lucide/svelte/icons/chart-column-stacked';
import House from '@lucide/svelte/icons/house';
import ListChecks from '@lucide/svelte/icons/list-checks';
import KeyRound from '@lucide/svelte/icons/key-round';
import Package from '@lucide/svelte/icons/package';
import RadioTower from '@lucide/svelte/icons/radio-tower';
import SlidersHorizontal from '@lucide/svelte/icons/sliders-horizontal';
import Settings from '@lucide/svelte/icons/settings';

interface Place {
  href: string;
  name: string;
  key: string;
  icon: typeof House;
  /** Who sees it: somebody with this role for some devices, or for all. */
  needs?: ['some' | 'all', 'viewer' | 'operator' | 'admin'];
}

export const places: Place[] = [
  { href: '/', name: 'Overview', key: 'o', icon: House },
  { href: '/devices', name: 'Devices', key: 'd', icon: RadioTower },
  { href: '/campaigns', name: 'Campaigns', key: 'c', icon: ChartColumnStacked, needs: ['all', 'viewer'] },
  { href: '/jobs', name: 'Jobs', key: 'j', icon: ListChecks },
  { href: '/desired-states', name: 'Desired state', key: 'e', icon: SlidersHorizontal, needs: ['all', 'viewer'] },
  { href: '/firmware', name: 'Firmware', key: 'f', icon: Package },
  { href: '/alerts', name: 'Alerts', key: 'l', icon: Bell },
  { href: '/onboarding', name: 'Onboarding', key: 'n', icon: KeyRound, needs: ['some', 'operator'] },
  { href: '/activity', name: 'Activity', key: 'a', icon: Activity },
];

export const settingsPlace: Place = { href: '/settings', name: 'Settings', key: 's', icon: Settings };

/** The places that the signed-in person may use. */
export function placesOf(who: { may: (role: 'viewer' | 'operator' | 'admin') => boolean; mayEverywhere: (role: 'viewer' | 'operator' | 'admin') => boolean }): Place[] {
  return places.filter(({ needs }) => !needs || (needs[0] === 'all' ? who.mayEverywhere(needs[1]) : who.may(needs[1])));
}

/** Whether a page is that of a place or under it. Groups are a page of the devices. */
export function isAt(href: string, path: string): boolean {
  if (path === '/groups') return href === '/devices';
  return href === '/' ? path === '/' : path === href || path.startsWith(`${href}/`);
}
