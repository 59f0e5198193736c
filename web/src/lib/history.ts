/** Samples as points of a line. */
import type { Sample } from './api';

/** A hole in the line wherever values are missing for much longer than they usually are apart. */
export function withGaps(samples: Sample[], step: number): [number, number | null][] {
  const points = samples.flatMap((sample): [number, number][] => (typeof sample.value === 'number' ? [[sample.at, sample.value]] : []));
  const apart = points.slice(1).map(([at], index) => at - (points[index] as [number, number])[0]);
  const usual = [...apart].sort((a, b) => a - b)[Math.floor(apart.length / 2)] ?? step;
  const longest = Math.max(step, usual) * 4;
  return points.flatMap(([at, value], index): [number, number | null][] => {
    const before = points[index - 1];
    return before && at - before[0] > longest ? [[before[0] + step, null], [at, value]] : [[at, value]];
  });
}
