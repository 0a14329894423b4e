/** The value below which `fraction` (0 to 1) of the samples lie, interpolated between neighbours. @throws RangeError without samples. */
export function percentile(samples: readonly number[], fraction: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) throw new RangeError('a percentile needs at least one sample');
  return below + (above - below) * (at - Math.floor(at));
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

export interface Ratio {
  /** Median of the ratios round by round: what slows a whole round down is in both its parts and cancels out. */
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** Compares two systems measured in the same rounds; undefined when they share no round or a divisor is not positive. */
export function pairedRatio(over: readonly number[] | undefined, under: readonly number[] | undefined): Ratio | undefined {
  if (over === undefined || under === undefined) return undefined;
  const ratios: number[] = [];
  for (const [round, value] of over.entries()) {
    const divisor = under[round];
    if (divisor === undefined) break;
    if (divisor <= 0) return undefined;
    ratios.push(value / divisor);
  }
  if (ratios.length === 0) return undefined;
  return { median: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios) };
}
