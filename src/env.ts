/**
 * The Worker's bindings, and every variable it understands.
 *
 * Variables are parsed here and nowhere else; each has a default, a range and an error that names it.
 * README.md has the same table for people.
 */

import type { BlobShard } from "./objects/blob-shard.ts";
import type { Catalog } from "./objects/catalog.ts";
import type { Ledger } from "./objects/ledger.ts";
import type { Upload } from "./objects/upload.ts";
import type { WebhookQueue } from "./objects/webhook-queue.ts";
import type { Webhooks } from "./objects/webhooks.ts";
import { parseIssuers, type TrustedIssuer } from "./oci/issuer.ts";
import { maxHosts, parseHosts, parseOrigin } from "./oci/origin.ts";
import {
  day,
  duration,
  durationOrNever,
  hour,
  mebibyte,
  oneOf,
  second,
  size,
  sizeOrAuto,
  text,
  type Variable,
  wholeNumber,
} from "./oci/variable.ts";

/** What wrangler.toml binds. Variables are optional strings. */
export interface Env extends Partial<Record<VariableName, string>> {
  /** The replica; on one machine there is none, and the ledgers answer. */
  MANIFESTS?: KVNamespace;
  BLOBS: R2Bucket;
  /** On one machine: the folder that blobs are kept in instead, and what makes its files last (storage/disk-bucket.ts). */
  BLOB_FILES?: Fetcher;
  BLOB_KEEPER?: Fetcher;
  LEDGERS: DurableObjectNamespace<Ledger>;
  UPLOADS: DurableObjectNamespace<Upload>;
  BLOB_SHARDS: DurableObjectNamespace<BlobShard>;
  CATALOG: DurableObjectNamespace<Catalog>;
  WEBHOOKS: DurableObjectNamespace<Webhooks>;
  WEBHOOK_QUEUES: DurableObjectNamespace<WebhookQueue>;
  /** The way that events go to their listeners, if it is not that of every request. */
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
  /** On one machine, where others could reach the Worker past the front: what a request from there says (machine.ts). */
  CHANNEL_SECRET?: string;
}

/** The variables, parsed. Times are milliseconds, sizes are bytes. */
export interface Settings {
  /** `open`: every request is allowed. Only the local server sets it, and only while bound to loopback. */
  access: "closed" | "open";
  /** The password of the account `admin`; `undefined` when there is no such account. */
  adminPassword: string | undefined;
  /** The registry's name in challenges, and the audience and issuer of its tokens. */
  service: string;
  /** Where clients get tokens; `undefined`: at the registry itself. */
  authRealm: string | undefined;
  /** How long a token lives. */
  tokenTtlMs: number;
  /** How long a refresh token lives. */
  refreshTtlMs: number;
  /** Token services of others. */
  issuers: TrustedIssuer[];
  /** The registry's own URL, as events name it: an origin; `undefined` where nobody has said. */
  publicUrl: string | undefined;
  /** Hosts that an open registry answers to, beside those of loopback. */
  openHosts: string[];
  /** The scheme of the URLs that the registry names to clients; `request`: that of the request itself. */
  publicScheme: "request" | "http" | "https";
  /** Whether a proxy in front says, in `X-Forwarded-Proto` and `-Host`, what the client asked for. */
  trustForwarded: boolean;
  /** The header in which the proxy in front names the client's address. */
  addressHeader: string;
  /** How long an upload session lives after its last request. */
  uploadTtlMs: number;
  /** How long a writer may send nothing before its client may go on over another connection. */
  uploadStallMs: number;
  /** Size of the parts a streamed upload is stored in; times 10,000 it is the largest streamed blob. */
  uploadPartBytes: number;
  /** Isolate-wide budget of part buffers, beyond which an upload makes do with one buffer. */
  uploadBufferBytes: number;
  /** How long a repository may take to link a blob that was adopted for it. */
  leaseMs: number;
  /** How long a blob that nothing references is kept. */
  gcGraceMs: number;
  /** How long a manifest that nothing references is kept; `undefined`: for ever. */
  untaggedTtlMs: number | undefined;
  /** How long the moves of tags are kept. */
  tagHistoryMs: number;
  /** How often all that is kept is read and compared; `undefined`: only when asked. */
  scrubEveryMs: number | undefined;
  /** Time between the decision to delete bytes and their deletion. */
  deleteDelayMs: number;
  /** How long a deleted key is remembered, so that a late adoption of it is refused. */
  tombstoneTtlMs: number;
  /** When a replica write of unknown outcome, or a delete, is repeated. */
  replicaRepeatMs: number;
  /** Whether manifests may reference blobs and manifests that are not in the repository. */
  sparseManifests: "reject" | "accept";
  /** Where tags are read: `ledger` is linearizable, `edge` is faster and may be old. */
  tagReads: "ledger" | "edge";
  /** The bearer token that opens the metrics, beside administrators' passwords; `undefined`: none does. */
  metricsToken: string | undefined;
  /** Whether one process answers every request, so that what it counted is all there is to count. */
  metricsScope: "registry" | "process";
  /** Whether events may be sent by http, and to private addresses. */
  webhookAllowsPrivate: boolean;
  /** How long a listener may take to answer. */
  webhookTimeoutMs: number;
  /** How long a ledger writes no events down, after it was told that nobody listens. */
  eventQuietMs: number;
  /** How much of the disk of one machine pushes must leave free, in bytes; `undefined`: as storage/disk-space.ts says. */
  diskReserveBytes: number | undefined;
  /** Form of the log lines. */
  logFormat: "json" | "text" | "none";
  /** Whether probes that are answered well have a line in the log. */
  logsProbes: boolean;
}

/** How long a password must be, in characters. */
export const minPasswordLength = 12;

/** The largest `TOKEN_TTL` and `REFRESH_TTL`: no token that the registry issued lives longer. */
export const maxTokenTtlMs = hour;
export const maxRefreshTtlMs = 365 * day;

/** A password, or none. What is wrong with it is said without it. */
const password: Variable<string> = {
  default: "",
  expects: `a text of at least ${minPasswordLength} characters`,
  parse: (text) => (text === "" || text.length >= minPasswordLength ? text : undefined),
  whyNot: (text) => `it has ${text.length} characters, and must have at least ${minPasswordLength}`,
};

const issuers: Variable<TrustedIssuer[]> = {
  default: "[]",
  expects: "a JSON array of issuers as docs/access.md describes them",
  parse: (text) => {
    const parsed = parseIssuers(text);
    return parsed.ok ? parsed.issuers : undefined;
  },
  whyNot: (text) => {
    const parsed = parseIssuers(text);
    return parsed.ok ? undefined : parsed.reason;
  },
};

const origin: Variable<string> = {
  default: "",
  expects: "an http or https URL of a host alone, such as https://registry.example.com",
  parse: (text) => (text === "" ? "" : parseOrigin(text.replace(/\/$/, ""))?.origin),
};

const hosts: Variable<string[]> = {
  default: "",
  expects: `at most ${maxHosts} host names or addresses, separated by commas, without ports; IPv6 in brackets`,
  parse: parseHosts,
};

/** Every variable: its default, and what it accepts. */
export const variables = {
  ACCESS: oneOf("closed", "open"),
  ADMIN_PASSWORD: password,
  AUTH_SERVICE: { ...text, default: "stowage" },
  AUTH_REALM: text,
  TOKEN_TTL: duration("5m", second, maxTokenTtlMs),
  REFRESH_TTL: duration("30d", hour, maxRefreshTtlMs),
  TOKEN_ISSUERS: issuers,
  PUBLIC_URL: origin,
  OPEN_HOSTS: hosts,
  PUBLIC_SCHEME: oneOf("request", "http", "https"),
  TRUST_FORWARDED: oneOf("no", "yes"),
  ADDRESS_HEADER: { ...text, default: "CF-Connecting-IP" },
  UPLOAD_TTL: duration("24h", second, 6 * day),
  UPLOAD_STALL: duration("10s", second, hour),
  UPLOAD_PART_SIZE: size("5MiB", 5 * mebibyte, 32 * mebibyte),
  UPLOAD_BUFFERS: size("64MiB", 0, 1024 * mebibyte),
  LEASE_TTL: duration("60s", second, hour),
  GC_GRACE: duration("24h", 0, 365 * day),
  UNTAGGED_TTL: durationOrNever("never", 0, 3650 * day),
  TAG_HISTORY_DAYS: wholeNumber("90", 1, 3650),
  SCRUB_EVERY: durationOrNever("30d", hour, 3650 * day),
  DELETE_DELAY: duration("1h", 0, 30 * day),
  TOMBSTONE_TTL: duration("24h", second, 30 * day),
  REPLICA_REPEAT: duration("120s", second, hour),
  SPARSE_MANIFESTS: oneOf("reject", "accept"),
  TAG_READS: oneOf("ledger", "edge"),
  METRICS_TOKEN: text,
  METRICS_SCOPE: oneOf("registry", "process"),
  WEBHOOK_ALLOW_PRIVATE: oneOf("no", "yes"),
  WEBHOOK_TIMEOUT: duration("10s", 100, 60 * second),
  EVENT_QUIET: duration("5s", 0, 60 * second),
  DISK_RESERVE: sizeOrAuto(0, 1024 * 1024 * mebibyte),
  LOG_FORMAT: oneOf("json", "text", "none"),
  LOG_PROBES: oneOf("yes", "no"),
} satisfies Record<string, Variable<unknown>>;

/** The name of a variable. */
export type VariableName = keyof typeof variables;

/** A variable has a value it does not accept. The message names it and says what it accepts, and quotes the value. */
export class SettingError extends Error {
  override name = "SettingError";
  /** Which one; for those who may not see its value. */
  readonly variable: string;

  constructor(variable: string, message: string) {
    super(message);
    this.variable = variable;
  }
}

function read<N extends VariableName>(
  env: Partial<Record<VariableName, string>>,
  name: N,
): Exclude<ReturnType<(typeof variables)[N]["parse"]>, undefined> {
  const variable: Variable<unknown> = variables[name];
  const text = env[name] ?? variable.default;
  const value = variable.parse(text);
  if (value === undefined) {
    const reason = variable.whyNot?.(text);
    const message = `${name} is ${JSON.stringify(text)}, but must be ${variable.expects}`;
    throw new SettingError(name, reason === undefined ? message : `${name} is wrong: ${reason}`);
  }
  return value as Exclude<ReturnType<(typeof variables)[N]["parse"]>, undefined>;
}

/**
 * Parses all variables.
 *
 * @throws SettingError naming the first variable that is wrong.
 */
export function parseSettings(env: Partial<Record<VariableName, string>>): Settings {
  const gcGraceMs = read(env, "GC_GRACE");
  return {
    access: read(env, "ACCESS"),
    adminPassword: read(env, "ADMIN_PASSWORD") || undefined,
    service: read(env, "AUTH_SERVICE"),
    authRealm: read(env, "AUTH_REALM") || undefined,
    tokenTtlMs: read(env, "TOKEN_TTL"),
    refreshTtlMs: read(env, "REFRESH_TTL"),
    issuers: read(env, "TOKEN_ISSUERS"),
    publicUrl: read(env, "PUBLIC_URL") || undefined,
    openHosts: read(env, "OPEN_HOSTS"),
    publicScheme: read(env, "PUBLIC_SCHEME"),
    trustForwarded: read(env, "TRUST_FORWARDED") === "yes",
    addressHeader: read(env, "ADDRESS_HEADER"),
    uploadTtlMs: read(env, "UPLOAD_TTL"),
    uploadStallMs: read(env, "UPLOAD_STALL"),
    uploadPartBytes: read(env, "UPLOAD_PART_SIZE"),
    uploadBufferBytes: read(env, "UPLOAD_BUFFERS"),
    leaseMs: read(env, "LEASE_TTL"),
    gcGraceMs,
    untaggedTtlMs: unlessWord(read(env, "UNTAGGED_TTL")),
    tagHistoryMs: read(env, "TAG_HISTORY_DAYS") * day,
    scrubEveryMs: unlessWord(read(env, "SCRUB_EVERY")),
    deleteDelayMs: gcGraceMs === 0 ? 0 : read(env, "DELETE_DELAY"),
    tombstoneTtlMs: read(env, "TOMBSTONE_TTL"),
    replicaRepeatMs: read(env, "REPLICA_REPEAT"),
    sparseManifests: read(env, "SPARSE_MANIFESTS"),
    tagReads: read(env, "TAG_READS"),
    metricsToken: read(env, "METRICS_TOKEN") || undefined,
    metricsScope: read(env, "METRICS_SCOPE"),
    webhookAllowsPrivate: read(env, "WEBHOOK_ALLOW_PRIVATE") === "yes",
    webhookTimeoutMs: read(env, "WEBHOOK_TIMEOUT"),
    eventQuietMs: read(env, "EVENT_QUIET"),
    diskReserveBytes: unlessWord(read(env, "DISK_RESERVE")),
    logFormat: read(env, "LOG_FORMAT"),
    logsProbes: read(env, "LOG_PROBES") === "yes",
  };
}

/** A number, or the word that stands for none. */
function unlessWord(value: number | string): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** The source of time, in milliseconds since 1970. Passed in everywhere, so that tests can move it. */
export interface Clock {
  now(): number;
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };
