/**
 * Every setting of the Worker, with the environment variable that it is read from.
 *
 * All else is derived from it: types, errors for wrong values, the README's table (`npm run settings:document`).
 */

import { day, gibibyte, hour, mebibyte, minute, second } from "../units.ts";
import {
  duration,
  hosts,
  issuers,
  oneOf,
  optional,
  origin,
  orWord,
  type SettingType,
  secretText,
  size,
  text,
  upstreams,
  wholeNumber,
  yesOrNo,
} from "./formats.ts";

/** The minimum length of a password, in characters. */
export const minPasswordLength = 12;

/** The largest `TOKEN_TTL` and `REFRESH_TTL`: no token of the registry lives longer. */
export const maxTokenTtlMs = hour;
export const maxRefreshTtlMs = 365 * day;

/** A setting: its variable, its default as a text, its type, and its description in Markdown. */
export type Setting<N extends string, T> = {
  variable: N;
  default: string;
  type: SettingType<T>;
  doc: string;
};

function setting<const N extends string, T>(
  variable: N,
  fallback: string,
  type: SettingType<T>,
  doc: string,
): Setting<N, T> {
  return { variable, default: fallback, type, doc };
}

/** All settings, by their names in the code. Times are milliseconds, sizes are bytes. */
export const settingTable = {
  /** `undefined` when there is no account `admin`. */
  adminPassword: setting(
    "ADMIN_PASSWORD",
    "",
    optional(secretText(minPasswordLength)),
    "password of the account `admin`; a secret",
  ),
  /** The registry's name in challenges, and the audience and issuer of its tokens. */
  service: setting(
    "AUTH_SERVICE",
    "stowage",
    text,
    "the registry's name in challenges; issuer and audience of its tokens",
  ),
  /** `undefined`: clients get tokens at the registry itself. */
  authRealm: setting(
    "AUTH_REALM",
    "",
    optional(text),
    "the token service for clients, if it is not the registry's own `/token`",
  ),
  tokenTtlMs: setting("TOKEN_TTL", "5m", duration(second, maxTokenTtlMs), "how long a token lives"),
  refreshTtlMs: setting(
    "REFRESH_TTL",
    "30d",
    duration(hour, maxRefreshTtlMs),
    "how long a refresh token lives",
  ),
  issuers: setting(
    "TOKEN_ISSUERS",
    "[]",
    issuers,
    "token services of others, as JSON: [docs/access.md](docs/access.md)",
  ),
  /** The address of the registry for clients and events; `undefined`: that of the request. */
  publicUrl: setting(
    "PUBLIC_URL",
    "",
    optional(origin),
    "the registry's own URL, such as `https://registry.example.com`, for [events](docs/webhooks.md); requests of pages from this origin are accepted",
  ),
  openHosts: setting(
    "OPEN_HOSTS",
    "",
    hosts,
    "names that an open registry answers to, in addition to loopback names: [docs/access.md](docs/access.md#browsers)",
  ),
  trustForwarded: setting(
    "TRUST_FORWARDED",
    "no",
    yesOrNo,
    "`yes`: a proxy in front sets `X-Forwarded-Proto` and `X-Forwarded-Host`, and on one machine adds to `X-Forwarded-For`",
  ),
  publicScheme: setting(
    "PUBLIC_SCHEME",
    "request",
    oneOf("request", "http", "https"),
    "`https`: clients use HTTPS, even if the request looks like HTTP; set by `--tls-cert`",
  ),
  addressHeader: setting(
    "ADDRESS_HEADER",
    "CF-Connecting-IP",
    text,
    "the header that names the client's address; on one machine, one that the server itself sets",
  ),
  uploadTtlMs: setting(
    "UPLOAD_TTL",
    "24h",
    duration(second, 6 * day),
    "how long an upload lives after its last request",
  ),
  uploadStallMs: setting(
    "UPLOAD_STALL",
    "10s",
    duration(second, hour),
    "how long a request to an upload may send nothing (less than 256 KiB) before another one takes its place",
  ),
  /** The largest blob that can be streamed is 10,000 times this size. */
  uploadPartBytes: setting(
    "UPLOAD_PART_SIZE",
    "5MiB",
    size(5 * mebibyte, 32 * mebibyte),
    "size of the parts of a streamed upload",
  ),
  uploadBufferBytes: setting(
    "UPLOAD_BUFFERS",
    "64MiB",
    size(0, gibibyte),
    "memory for part buffers; when more is in use, each upload has only one, and beyond 96 MiB new uploads wait",
  ),
  sparseManifests: setting(
    "SPARSE_MANIFESTS",
    "reject",
    oneOf("reject", "accept"),
    "`accept`: manifests may reference missing content, for mirrors of a subset",
  ),
  /** `ledger` is linearizable. */
  tagReads: setting(
    "TAG_READS",
    "ledger",
    oneOf("ledger", "edge"),
    "`edge`: tags are read from the replica first, which is faster, but a tag may be old",
  ),
  gcGraceMs: setting(
    "GC_GRACE",
    "24h",
    duration(0, 365 * day),
    "how long a blob that nothing references is kept",
  ),
  /** `undefined`: for ever. */
  untaggedTtlMs: setting(
    "UNTAGGED_TTL",
    "never",
    orWord("never", duration(0, 3650 * day)),
    "how long a manifest is kept that is reached by no tag, no index and no subject",
  ),
  retentionEveryMs: setting(
    "RETENTION_EVERY",
    "24h",
    duration(minute, 30 * day),
    "how often a repository removes the tags that the policies remove",
  ),
  tagHistoryMs: setting(
    "TAG_HISTORY_DAYS",
    "90",
    wholeNumber(1, 3650, day),
    "how many days the moves of tags are kept",
  ),
  /** `undefined`: only when asked. */
  scrubEveryMs: setting(
    "SCRUB_EVERY",
    "30d",
    orWord("never", duration(hour, 3650 * day)),
    "how often all stored data is read and compared automatically; `never`: only on request",
  ),
  deleteDelayMs: setting(
    "DELETE_DELAY",
    "1h",
    duration(0, 30 * day),
    "time between the decision to delete bytes and their deletion; none where `GC_GRACE` is 0",
  ),
  /** So that a late adoption of the key is refused. */
  tombstoneTtlMs: setting(
    "TOMBSTONE_TTL",
    "24h",
    duration(second, 30 * day),
    "how long a deleted key is remembered",
  ),
  leaseMs: setting(
    "LEASE_TTL",
    "60s",
    duration(second, hour),
    "how long a repository has to link a blob that was stored for it",
  ),
  replicaRepeatMs: setting(
    "REPLICA_REPEAT",
    "120s",
    duration(second, hour),
    "time after which a delete in the replica, or a write with an unknown outcome, is repeated",
  ),
  /** `undefined`: as storage/disk-space.ts says. */
  diskReserveBytes: setting(
    "DISK_RESERVE",
    "auto",
    orWord("auto", size(0, 1024 * gibibyte)),
    "one machine: how much of the disk pushes leave free, such as `2GiB`; `auto`: 256 MiB or a hundredth of the volume, whichever is more, and a tenth at most; `0`: nothing: [docs/operations.md](docs/operations.md#a-full-disk)",
  ),
  ledgerLimitBytes: setting(
    "LEDGER_LIMIT",
    "9000000000",
    size(mebibyte, 9_500_000_000),
    "the size of a repository's database (manifests, tags and their history, without blobs) from which pushes to it get 507: the platform allows 10 GB, and deletions need room: [docs/limits.md](docs/limits.md)",
  ),
  /** With their credentials, from variables of their own. */
  upstreams: setting(
    "UPSTREAMS",
    "[]",
    upstreams,
    "other registries whose repositories are cached, as JSON: [docs/caching.md](docs/caching.md)",
  ),
  upstreamTimeoutMs: setting(
    "UPSTREAM_TIMEOUT",
    "15s",
    duration(100, 600 * second),
    "how long an upstream may send nothing before a request to it is given up",
  ),
  ownNames: setting(
    "OWN_NAMES",
    "",
    hosts,
    "with `UPSTREAMS`: names of this registry, besides `PUBLIC_URL` and the `Host` of a request, that `?ns=` may have",
  ),
  webhookAllowsPrivate: setting(
    "WEBHOOK_ALLOW_PRIVATE",
    "no",
    yesOrNo,
    "`yes`: events may go to private addresses, and by http: [docs/webhooks.md](docs/webhooks.md)",
  ),
  webhookTimeoutMs: setting(
    "WEBHOOK_TIMEOUT",
    "10s",
    duration(100, 60 * second),
    "how long a listener may take to answer",
  ),
  eventQuietMs: setting(
    "EVENT_QUIET",
    "5s",
    duration(0, 60 * second),
    "how long a repository records no events after it learnt that no webhook listens; creating or changing a webhook takes as long",
  ),
  /** `undefined`: only administrators' passwords open the metrics. */
  metricsToken: setting(
    "METRICS_TOKEN",
    "",
    optional(text),
    "a bearer token for `/metrics`, which administrators' passwords also open; a secret",
  ),
  metricsScope: setting(
    "METRICS_SCOPE",
    "registry",
    oneOf("registry", "process"),
    "`process`: one process answers every request, so `/metrics` has its counts too; the default on one machine",
  ),
  logFormat: setting(
    "LOG_FORMAT",
    "json",
    oneOf("json", "text", "none"),
    "the format of the log, which has one line per request; `none`: only lines that need attention; on one machine `--log` sets it, by default to `text`",
  ),
  logsProbes: setting(
    "LOG_PROBES",
    "yes",
    yesOrNo,
    "`no`: requests for `/healthz`, `/readyz` and `/metrics` have no line, unless they are refused or fail",
  ),
  /** `open`: every request is allowed. Only the local server sets it, and only while bound to loopback. */
  access: setting(
    "ACCESS",
    "closed",
    oneOf("closed", "open"),
    "`open`: no authentication; set by the local server while it has no credential",
  ),
};
