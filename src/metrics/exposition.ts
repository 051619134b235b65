/**
 * Metrics as text. Source: Prometheus, "Exposition formats", text format 0.0.4.
 */
import { durationBuckets, type Family, type FamilyName, families } from "./families.ts";
import type { Distribution, Sample } from "./meter.ts";

/** The media type of the text. */
export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

/** Writes families that have a series, in the order of their table, each under its help and type. */
export function expose(samples: readonly Sample[], distributions: readonly Distribution[]): string {
  const lines: string[] = [];
  for (const [name, { type, help, labels }] of Object.entries(families) as [FamilyName, Family][]) {
    const series = [
      ...samples
        .filter((sample) => sample.family === name)
        .map((sample) => line(name, labels, sample.labels, sample.value)),
      ...distributions
        .filter((distribution) => distribution.family === name)
        .flatMap((distribution) => histogramLines(name, labels, distribution)),
    ];
    if (series.length > 0) lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...series);
  }
  return lines.map((text) => `${text}\n`).join("");
}

function histogramLines(
  name: string,
  labels: readonly string[],
  { labels: values, counts, sum }: Distribution,
): string[] {
  let below = 0;
  const buckets = counts.map((count, index) => {
    below += count;
    const bound = durationBuckets[index]?.toString() ?? "+Inf";
    return line(`${name}_bucket`, [...labels, "le"], [...values, bound], below);
  });
  return [...buckets, line(`${name}_sum`, labels, values, sum), line(`${name}_count`, labels, values, below)];
}

function line(name: string, labels: readonly string[], values: readonly string[], value: number): string {
  const pairs = labels.map((label, index) => `${label}="${escaped(values[index] ?? "")}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
