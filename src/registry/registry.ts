/**
 * The dependencies of every operation: the objects, the replica, the bucket and the isolate's caches.
 */

import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Result } from "../oci/errors.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { CatalogApi, LedgerApi, Page, ResolvedTag } from "../rpc/api.ts";
import type { BlobShardApi } from "../rpc/blob-shard-api.ts";
import type { TagState } from "../rpc/cache-api.ts";
import { reportCounts } from "../rpc/report-counts.ts";
import type { SearchApi } from "../rpc/search-api.ts";
import {
  catalogStub,
  listShards,
  namedShardStub,
  type ObjectBindings,
  repositoryStub,
  searchStub,
  shardStub,
  uploadStub,
  webhookQueueStub,
  webhooksStub,
} from "../rpc/stubs.ts";
import type { UploadApi } from "../rpc/upload-channel.ts";
import type { WebhookQueueApi, WebhooksApi } from "../rpc/webhooks-api.ts";
import { type Settings, settingsOf } from "../settings/settings.ts";
import type { Bucket } from "../storage/bucket.ts";
import { type DiskSpace, openDiskSpace } from "../storage/disk-space.ts";
import { openBucket } from "../storage/open-bucket.ts";
import { openReplica, type Replica } from "../storage/replica.ts";
import { ExpiringLru, IsolateCache, TagsSeen } from "./caches.ts";
import { type AskedLedger, askedLedger, type RegisteredNames } from "./ledgers.ts";
import { PolicyCache } from "./policy-cache.ts";
import { PullEvents } from "./pull-events.ts";
import { SharedCalls } from "./shared-calls.ts";
import { Uses } from "./uses.ts";

/** The registry, as one isolate sees it. */
export interface Registry {
  /** The namespaces of objects, for code that the objects use as well. */
  readonly objects: ObjectBindings;
  /** The platform's rate limits; a limit that is not bound is counted in memory. */
  readonly rateLimits: Pick<Env, "LOGIN_FAILURES" | "ADDRESS_LOGIN_FAILURES" | "ANONYMOUS_MISSES">;
  readonly settings: Settings;
  readonly clock: Clock;
  /** `undefined` on one machine, where the ledgers answer. */
  readonly replica: Replica | undefined;
  readonly bucket: Bucket;
  /** The disk space, if blobs are stored in files. */
  readonly space: DiskSpace | undefined;
  readonly cache: IsolateCache;
  /** Look-ups of tags, by repository; `null`: the tag does not exist. */
  readonly tagLookups: SharedCalls<Tag, ResolvedTag | null>;
  /** Lists of tags, by page: concurrent requests for the same page share a call. */
  readonly tagLists: SharedCalls<"page", Result<{ page: Page<string> }>>;
  /** Look-ups of tags of cached repositories, by repository. */
  readonly cachedTags: SharedCalls<Tag, TagState>;
  readonly tagsSeen: TagsSeen;
  /** Whether repositories are public, as far as that was looked up recently. */
  readonly visibilities: ExpiringLru<{ isPublic: boolean }>;
  /** Identifies this isolate among those that serve the registry. */
  readonly instance: string;
  readonly pullEvents: PullEvents;
  readonly uses: Uses;
  readonly policies: PolicyCache;
  /** Names that are known to be registered in the index of names. */
  readonly registered: RegisteredNames;
  /** The ledger of a name, which the index of names is asked about first. */
  ledger(name: RepositoryName): AskedLedger;
  /** The ledger of a name that is known to be registered, because something lists it. */
  listedLedger(name: RepositoryName): LedgerApi;
  shard(digest: Digest): BlobShardApi;
  /** The names of the shards that may have data, in order. */
  listShards(): Promise<string[]>;
  shardNamed(name: string): BlobShardApi;
  upload(id: string): UploadApi;
  catalog(): CatalogApi;
  /** Finds repositories; `undefined` if nothing is bound for that. */
  search(): SearchApi | undefined;
  webhooks(): WebhooksApi;
  webhookQueue(id: string): WebhookQueueApi;
  /** Reports this isolate's counts to the catalog, without uploads that have been open for less than `openForMs`. */
  reportCounts(openForMs?: number): Promise<void>;
  /** The registry's own secret, from the catalog; fetched once per isolate. */
  sessionSecret(): Promise<Uint8Array>;
}

const registries = new WeakMap<Env, Registry>();

/**
 * The registry of these bindings; one per isolate.
 *
 * @throws SettingError if a variable has a wrong value.
 */
export function registryOf(env: Env, clock: Clock = systemClock): Registry {
  const known = registries.get(env);
  if (known !== undefined) return known;
  let secret: Uint8Array | undefined;
  const registered: RegisteredNames = new ExpiringLru(clock, 1024 * 1024, () => 300);
  const registry: Registry = {
    objects: env,
    rateLimits: env,
    clock,
    settings: settingsOf(env),
    replica: openReplica(env, (name, key) => repositoryStub(env, name).repairReplica(key)),
    bucket: openBucket(env),
    space: openDiskSpace(env),
    cache: new IsolateCache(clock),
    tagLookups: new SharedCalls(),
    tagLists: new SharedCalls(),
    cachedTags: new SharedCalls(),
    tagsSeen: new TagsSeen(),
    visibilities: new ExpiringLru(clock, 1024 * 1024, () => 300),
    instance: crypto.randomUUID(),
    pullEvents: new PullEvents(clock, () => webhooksStub(env)),
    uses: new Uses(clock, (name) => repositoryStub(env, name)),
    policies: new PolicyCache(clock, () => catalogStub(env)),
    registered,
    ledger: (name) => askedLedger({ objects: env, registered }, name),
    listedLedger: (name) => repositoryStub(env, name),
    shard: (digest) => shardStub(env, digest),
    listShards: () => listShards(env),
    shardNamed: (name) => namedShardStub(env, name),
    upload: (id) => uploadStub(env, id),
    catalog: () => catalogStub(env),
    search: () => searchStub(env),
    webhooks: () => webhooksStub(env),
    webhookQueue: (id) => webhookQueueStub(env, id),
    reportCounts: (openForMs) => reportCounts(env, clock.now(), openForMs),
    sessionSecret: async () => {
      // Only the value is cached: a promise belongs to the request that created it.
      secret ??= await catalogStub(env).sessionSecret();
      return secret;
    },
  };
  registries.set(env, registry);
  return registry;
}
