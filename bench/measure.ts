/** Times, and what is said of them. */

/** What was measured, several times. */
export interface Figure {
  name: string;
  unit: "s" | "MB";
  samples: number[];
}

/** Two figures beside each other, and how far apart they may be. */
export interface Comparison {
  name: string;
  value: number;
  unit: "times" | "MB" | "s";
  /** The value must not be greater. */
  limit: number;
}

/** The outcome of a workload. */
export interface Outcome {
  figures: Figure[];
  comparisons: Comparison[];
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

function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : 0);
}

/** A figure in a line: median, least and greatest. */
export function describeFigure({ name, unit, samples }: Figure): string {
  const spread =
    samples.length === 1 ? "" : `  (${digits(Math.min(...samples))} to ${digits(Math.max(...samples))})`;
  return `${name.padEnd(48)} ${digits(median(samples)).padStart(7)} ${unit}${spread}`;
}

/** A comparison in a line. */
export function describeComparison({ name, value, unit, limit }: Comparison): string {
  const verdict = value <= limit ? "within" : "OVER";
  return `${name.padEnd(48)} ${digits(value).padStart(7)} ${unit}, ${verdict} the limit of ${limit}`;
}
