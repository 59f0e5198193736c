/** The pages of the rail, in its order, with their icons and keys. */
import Activity from '@lucide/svelte/icons/activity';
import ChartColumnStacked from '@lucide/svelte/icons/chart-column-stacked';
import House from '@lucide/svelte/icons/house';
import KeyRound from '@lucide/svelte/icons/key-round';
import Package from '@lucide/svelte/icons/package';
import RadioTower from '@lucide/svelte/icons/radio-tower';
import Settings from '@lucide/svelte/icons/settings';

export const places = [
  { href: '/', name: 'Overview', key: 'o', icon: House },
  { href: '/devices', name: 'Devices', key: 'd', icon: RadioTower },
  { href: '/campaigns', name: 'Campaigns', key: 'c', icon: ChartColumnStacked },
  { href: '/firmware', name: 'Firmware', key: 'f', icon: Package },
  { href: '/onboarding', name: 'Onboarding', key: 'n', icon: KeyRound },
  { href: '/activity', name: 'Activity', key: 'a', icon: Activity },
] as const;

export const settingsPlace = { href: '/settings', name: 'Settings', key: 's', icon: Settings } as const;

/** Whether a page is that of a place or under it. */
export function isAt(href: string, path: string): boolean {
  return href === '/' ? path === '/' : path === href || path.startsWith(`${href}/`);
}
