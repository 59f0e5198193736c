/** The sums over all shards of `/metrics`, in Prometheus' text format. */
export function parseMetrics(text: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const line of text.split('\n')) {
    const found = /^buoy_(\w+)(?:\{[^}]*\})? (\S+)$/.exec(line);
    if (!found) continue;
    const [, name, value] = found as unknown as [string, string, string];
    sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return sums;
}
