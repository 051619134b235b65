/** Metrics as Prometheus reads them. */
import parsePrometheus, { type Metric } from "parse-prometheus-text-format";

/** What was scraped: the text, and its series by the name of their metric. */
export type Scraped = { text: string; metrics: Map<string, Metric[]> };

/** Parses metrics, as a library does that is not ours. */
export function parseMetrics(text: string): Scraped {
  return { text, metrics: new Map(parsePrometheus(text).map(({ name, metrics }) => [name, metrics])) };
}

/** The value of a series; 0 where there is none yet. */
export function seriesValue({ metrics }: Scraped, name: string, labels: Record<string, string> = {}): number {
  const series = metrics
    .get(name)
    ?.find((one) => Object.entries(labels).every(([label, value]) => one.labels?.[label] === value));
  return Number(series?.value ?? 0);
}
