/** Outcomes as text: one table of all figures, and one of what they are compared with. */
import { type Comparison, type Figure, isWithin, median, type Outcome } from "./measure.ts";

/** A number with as many digits as say something. */
export function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : 0);
}

function figureRow({ name, unit, samples, latencies }: Figure): string[] {
  const spread =
    samples.length === 1 ? "" : `${digits(Math.min(...samples))} to ${digits(Math.max(...samples))}`;
  const [p50, p99] =
    latencies === undefined ? ["", ""] : [median(latencies.p50), median(latencies.p99)].map(digits);
  return [name, `${digits(median(samples))} ${unit}`, spread, p50 ?? "", p99 ?? ""];
}

function comparisonRow(comparison: Comparison): string[] {
  const { name, value, unit, limit, isLeast } = comparison;
  return [
    name,
    `${digits(value)} ${unit}`,
    `${isLeast === true ? "at least" : "at most"} ${limit}`,
    isWithin(comparison) ? "yes" : "NO",
  ];
}

function align(rows: string[][]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** All that was measured, by workload. */
export function tableOf(outcomes: Record<string, Outcome>): string {
  const lines: string[] = [];
  const entries = Object.entries(outcomes);
  const figures = entries.flatMap(([workload, outcome]) =>
    outcome.figures.map((figure) => ({ workload, figure })),
  );
  const header = ["", "median", "spread", "p50 ms", "p99 ms"];
  lines.push(
    ...align([header, ...figures.map(({ workload, figure }) => named(workload, figureRow(figure)))]),
  );
  const comparisons = entries.flatMap(([workload, outcome]) =>
    outcome.comparisons.map((comparison) => named(workload, comparisonRow(comparison))),
  );
  if (comparisons.length > 0) lines.push("", ...align([["", "is", "should be", "is it"], ...comparisons]));
  return lines.join("\n");
}

function named(workload: string, [name = "", ...cells]: string[]): string[] {
  return [`${workload}: ${name}`, ...cells];
}
