/** Figures, and what is said of them. */

/** What was measured, several times. */
export interface Figure {
  name: string;
  unit: "s" | "MB" | "/s" | "ms" | "kB" | "";
  samples: number[];
  /** Of a rate: the median and the 99th percentile of the latencies of each sample, in milliseconds. */
  latencies?: { p50: number[]; p99: number[] };
}

/** Two figures beside each other, and how far apart they may be. */
export interface Comparison {
  name: string;
  value: number;
  unit: "times" | "MB" | "s" | "ms" | "";
  /** The value must not be greater; or, where `isLeast`, not be smaller. */
  limit: number;
  isLeast?: boolean;
}

/** How something changes as something else grows. */
export interface Curves {
  title: string;
  xName: string;
  unit: Figure["unit"];
  series: { name: string; points: { x: number; samples: number[] }[] }[];
}

/** The outcome of a workload. */
export interface Outcome {
  figures: Figure[];
  comparisons: Comparison[];
  curves?: Curves;
}

/** How long it takes, in seconds. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** The middle of the samples. There must be one. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle];
  if (high === undefined) throw new Error("there is no median of no samples");
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}

/** How many times the second figure the first one is: the median of what it is in each repetition. */
export function ratio(figure: Figure, base: Figure): number {
  return median(figure.samples.map((sample, index) => sample / (base.samples[index] ?? Number.NaN)));
}

/** Whether a comparison is as it should be. */
export function isWithin({ value, limit, isLeast }: Comparison): boolean {
  return isLeast === true ? value >= limit : value <= limit;
}

/**
 * Measures several things in turns, as often as is asked for. Each of them begins a round once, so that none always
 * profits or suffers from what the one before it left behind.
 */
export async function inTurns<T>(
  things: readonly T[],
  repetitions: number,
  measure: (thing: T, repetition: number) => Promise<void>,
): Promise<void> {
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (let turn = 0; turn < things.length; turn++) {
      await measure(things[(repetition + turn) % things.length] as T, repetition);
    }
  }
}
