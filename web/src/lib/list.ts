/** Lists that change while they are looked at: rows change in place, and new ones wait until they are asked for. */

/** The parts of a fresh list that are not in the shown one, and the shown list with fresh contents in the same order. */
export function merge<T>(shown: T[], fresh: T[], key: (item: T) => string | number): { shown: T[]; waiting: T[]; gone: number } {
  const byKey = new Map(fresh.map((item) => [key(item), item]));
  const known = new Set(shown.map(key));
  const kept = shown.filter((item) => byKey.has(key(item)));
  return {
    shown: kept.map((item) => byKey.get(key(item)) as T),
    waiting: fresh.filter((item) => !known.has(key(item))),
    gone: shown.length - kept.length,
  };
}

/** The rows of a window over a list of rows with the same height. */
export function rowsInView(scroll: number, height: number, row: number, total: number, beyond = 8): { first: number; last: number } {
  const first = Math.max(0, Math.floor(scroll / row) - beyond);
  const last = Math.min(total, Math.ceil((scroll + height) / row) + beyond);
  return { first: Math.min(first, last), last };
}

/** The keys between two, both included, as a range selection wants them. */
export function between<T>(items: T[], from: T, to: T): T[] {
  const [start, end] = [items.indexOf(from), items.indexOf(to)].sort((a, b) => a - b) as [number, number];
  return start < 0 ? [to] : items.slice(start, end + 1);
}
