/**
 * Every metric there is, as data. Names and units follow Prometheus' conventions: base units, counters end in
 * `_total`.
 */

/**
 * A family of series. `keptBy`: where its values are kept. Nobody: they are constant; the isolate: its own counts,
 * which end with it; the catalog: the totals of all isolates' reports; the queues of webhooks, the object that
 * finds repositories, or the disk of one machine: they are asked. `isRare`: reported as soon as it is counted, as the
 * isolate of an object that was woken by its alarm may end right after.
 */
export type Family = {
  type: "counter" | "gauge" | "histogram";
  help: string;
  labels: readonly string[];
  keptBy: "nobody" | "isolate" | "catalog" | "queues" | "disk" | "search";
  isRare?: true;
};

export const families = {
  stowage_build_info: {
    type: "gauge",
    help: "The release that runs; always 1.",
    labels: ["version"],
    keptBy: "nobody",
  },
  stowage_requests_total: {
    type: "counter",
    help: "Requests answered.",
    labels: ["route", "method", "status"],
    keptBy: "isolate",
  },
  stowage_request_bytes_total: {
    type: "counter",
    help: "Bytes of request bodies: received, or announced where nobody counted.",
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
  stowage_repositories: {
    type: "gauge",
    help: "Repositories.",
    labels: [],
    keptBy: "catalog",
  },
  stowage_retention_waiting_seconds: {
    type: "gauge",
    help: "How long the run of retention has waited for its confirmation that waits longest; 0 if none waits.",
    labels: [],
    keptBy: "catalog",
  },
  stowage_manifest_pulls_total: {
    type: "counter",
    help: "Manifests pulled, of the repositories that are pulled most.",
    labels: ["repository"],
    keptBy: "catalog",
  },
  stowage_uploads_open: {
    type: "gauge",
    help: "Uploads that received bytes, and are neither finished nor given up.",
    labels: [],
    keptBy: "catalog",
  },
  stowage_deletions_total: {
    type: "counter",
    help: "Deletions, by collection and on request.",
    labels: ["what", "reason"],
    keptBy: "catalog",
    isRare: true,
  },
  stowage_freed_bytes_total: {
    type: "counter",
    help: "Bytes of blobs that were deleted from the bucket.",
    labels: ["reason"],
    keptBy: "catalog",
    isRare: true,
  },
  stowage_outbox_entries: {
    type: "gauge",
    help: "What ledgers failed to hand over and try again: rows of the replica, and events.",
    labels: ["outbox"],
    keptBy: "catalog",
  },
  stowage_outbox_age_seconds: {
    type: "gauge",
    help: "For how long the ledger that has been failing longest has been heard to fail; 0 where none does.",
    labels: ["outbox"],
    keptBy: "catalog",
  },
  stowage_largest_ledger_bytes: {
    type: "gauge",
    help: "The size of the largest database of a repository; from LEDGER_LIMIT on, pushes to it are refused.",
    labels: [],
    keptBy: "search",
  },
  stowage_disk_free_bytes: {
    type: "gauge",
    help: "What may still be written to the volume of the data directory.",
    labels: [],
    keptBy: "disk",
  },
  stowage_disk_size_bytes: {
    type: "gauge",
    help: "The size of the volume.",
    labels: [],
    keptBy: "disk",
  },
  stowage_disk_reserve_bytes: {
    type: "gauge",
    help: "What pushes leave free of it.",
    labels: [],
    keptBy: "disk",
  },
  stowage_stored_bytes: {
    type: "gauge",
    help: "Bytes of blobs, each once, with those on their way out.",
    labels: [],
    keptBy: "disk",
  },
  stowage_upstream_requests_total: {
    type: "counter",
    help: "Questions to upstreams, by what was asked for and what came of it.",
    labels: ["upstream", "kind", "outcome"],
    keptBy: "catalog",
  },
  stowage_upstream_pulls_total: {
    type: "counter",
    help: "Pulls of manifests and blobs through caches, by where they came from.",
    labels: ["upstream", "outcome"],
    keptBy: "catalog",
  },
  stowage_upstream_bytes_total: {
    type: "counter",
    help: "Bytes of blobs: fetched from upstreams, and served while they were fetched.",
    labels: ["upstream", "direction"],
    keptBy: "catalog",
  },
  stowage_upstream_lagged_total: {
    type: "counter",
    help: "Clients that did not keep up with a fetch, and went on from what was stored.",
    labels: ["upstream"],
    keptBy: "catalog",
  },
  stowage_webhook_deliveries_total: {
    type: "counter",
    help: "Tries to deliver an event to a webhook, by what came of them.",
    labels: ["webhook", "outcome"],
    keptBy: "queues",
  },
  stowage_webhook_events_waiting: {
    type: "gauge",
    help: "Events that wait for their delivery.",
    labels: ["webhook"],
    keptBy: "queues",
  },
  stowage_webhook_dead_letters: {
    type: "gauge",
    help: "Events that were given up, and can be replayed.",
    labels: ["webhook"],
    keptBy: "queues",
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
