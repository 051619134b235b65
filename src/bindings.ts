/** What wrangler.toml, or the local server, binds to the Worker. */
import type { Variables } from "./settings/settings.ts";

/** The Worker's bindings. The variables of settings are optional strings. */
export interface Env extends Variables {
  /** The replica; on one machine there is none, and the ledgers answer. Deployed namespaces are found by this name. */
  MANIFESTS?: KVNamespace;
  /** The bytes of blobs. Deployed buckets are found by this name. */
  BLOBS: R2Bucket;
  /** On one machine: the folder that blobs are kept in instead (storage/disk-bucket.ts). */
  BLOB_FILES?: Fetcher;
  /** On one machine: the service that syncs files of that folder to the disk (storage/fsync.ts). */
  BLOB_FSYNC?: Fetcher;
  LEDGERS: DurableObjectNamespace;
  UPLOADS: DurableObjectNamespace;
  BLOB_SHARDS: DurableObjectNamespace;
  CATALOG: DurableObjectNamespace;
  /** Finds repositories. Without it, the list of the catalog is searched. */
  SEARCH?: DurableObjectNamespace;
  NAME_INDEX: DurableObjectNamespace;
  WEBHOOKS: DurableObjectNamespace;
  WEBHOOK_QUEUES: DurableObjectNamespace;
  FETCHES: DurableObjectNamespace;
  UPSTREAM_STATES: DurableObjectNamespace;
  /** The network that events are sent over, and upstreams are asked over, if it is not that of every request. */
  WEBHOOK_OUTBOUND?: Fetcher;
  /** Counts failed logins by address and account. */
  LOGIN_FAILURES?: RateLimit;
  /** Counts derivations of wrong passwords by address. */
  ADDRESS_LOGIN_FAILURES?: RateLimit;
  /** Counts what anonymous callers ask for in vain, by address. */
  ANONYMOUS_MISSES?: RateLimit;
  /** Gets a data point of every request. */
  ANALYTICS?: AnalyticsEngineDataset;
  /** On one machine: what the local server says of its data directory, as JSON of a `Machine` (machine.ts). Nobody sets it by hand. */
  MACHINE?: string;
  /** On one machine, where others could reach the Worker without passing the local server: the secret that requests from it carry (machine.ts). */
  CHANNEL_SECRET?: string;
}
