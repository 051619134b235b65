/**
 * Every metric there is, as data. Names and units follow Prometheus' conventions: base units, counters end in
 * `_total`.
 */

/**
 * A family of series. `keptBy`: the isolate, which counts for itself and forgets with its end; or the catalog, to
 * which all isolates report, so that it has the sum.
 */
export type Family = {
  type: "counter" | "gauge" | "histogram";
  help: string;
  labels: readonly string[];
  keptBy: "isolate" | "catalog";
};

export const families = {
  stowage_requests_total: {
    type: "counter",
    help: "Requests answered.",
    labels: ["route", "method", "status"],
    keptBy: "isolate",
  },
  stowage_request_bytes_total: {
    type: "counter",
    help: "Bytes of request bodies, as far as their length was announced.",
    labels: ["route"],
    keptBy: "isolate",
  },
  stowage_response_bytes_total: {
    type: "counter",
    help: "Bytes of response bodies, whole ones even where the client went away.",
    labels: ["route"],
    keptBy: "isolate",
  },
  stowage_request_duration_seconds: {
    type: "histogram",
    help: "Time from a request's headers to its answer's.",
    labels: ["route", "method"],
    keptBy: "isolate",
  },
  stowage_cache_lookups_total: {
    type: "counter",
    help: "Look-ups in the memory of the isolate.",
    labels: ["cache", "outcome"],
    keptBy: "isolate",
  },
  stowage_webhook_deliveries_total: {
    type: "counter",
    help: "Tries to deliver an event to a webhook, by what came of them.",
    labels: ["outcome"],
    keptBy: "isolate",
  },
  stowage_repositories: {
    type: "gauge",
    help: "Repositories.",
    labels: [],
    keptBy: "catalog",
  },
  stowage_manifest_pulls_total: {
    type: "counter",
    help: "Manifests pulled, of the repositories that are pulled most.",
    labels: ["repository"],
    keptBy: "catalog",
  },
} as const satisfies Record<string, Family>;

/** The name of a metric. */
export type FamilyName = keyof typeof families;

type TextOfEach<L extends readonly string[]> = { readonly [I in keyof L]: string };

/** The values of a metric's labels, in the order of its `labels`. */
export type LabelValues<N extends FamilyName> = TextOfEach<(typeof families)[N]["labels"]>;

/** Upper bounds of the buckets of durations, in seconds. */
export const durationBuckets: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
