/** What this browser remembers of a person's wishes. No secrets. */
type Theme = 'system' | 'light' | 'dark';

class Settings {
  theme = $state<Theme>((localStorage.getItem('buoy.theme') as Theme | null) ?? 'system');
  compact = $state(localStorage.getItem('buoy.compact') === 'yes');
  narrow = $state(localStorage.getItem('buoy.narrow') === 'yes');

  setTheme(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem('buoy.theme', theme);
    this.apply();
  }

  setCompact(compact: boolean): void {
    this.compact = compact;
    localStorage.setItem('buoy.compact', compact ? 'yes' : 'no');
    this.apply();
  }

  setNarrow(narrow: boolean): void {
    this.narrow = narrow;
    localStorage.setItem('buoy.narrow', narrow ? 'yes' : 'no');
  }

  get isDark(): boolean {
    return this.theme === 'dark' || (this.theme === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  }

  apply(): void {
    const root = document.documentElement;
    if (this.theme === 'system') delete root.dataset.theme;
    else root.dataset.theme = this.theme;
    root.dataset.rows = this.compact ? 'compact' : 'normal';
  }
}

export const settings = new Settings();
