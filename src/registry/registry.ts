/**
 * What every operation of the registry works with: the objects, the replica, the bucket and the isolate's memory.
 */

import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Result } from "../oci/errors.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { CatalogApi, LedgerApi, Page, ResolvedTag } from "../rpc/api.ts";
import type { BlobShardApi } from "../rpc/blob-shard-api.ts";
import { reportCounts } from "../rpc/report-counts.ts";
import {
  catalogStub,
  namedShardStub,
  type ObjectBindings,
  repositoryStub,
  shardNames,
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
import { PullEvents } from "./pull-events.ts";
import { SharedCalls } from "./shared-calls.ts";

/** The registry, as one isolate sees it. */
export interface Registry {
  /** The namespaces of objects, for what objects do as well. */
  readonly objects: ObjectBindings;
  /** Where the platform counts attempts; a limit that is not bound is counted in memory. */
  readonly rateLimits: Pick<Env, "LOGIN_FAILURES" | "ADDRESS_LOGIN_FAILURES" | "ANONYMOUS_MISSES">;
  readonly settings: Settings;
  readonly clock: Clock;
  /** `undefined` on one machine: the ledgers answer. */
  readonly replica: Replica | undefined;
  readonly bucket: Bucket;
  /** The room on the disk, where blobs are in files. */
  readonly space: DiskSpace | undefined;
  readonly cache: IsolateCache;
  /** Look-ups of tags, by repository; `null`: there is none. */
  readonly tagLookups: SharedCalls<Tag, ResolvedTag | null>;
  /** Lists of tags, by page: all who ask for the same one share a call. */
  readonly tagLists: SharedCalls<"page", Result<{ page: Page<string> }>>;
  readonly tagsSeen: TagsSeen;
  /** Which repositories everybody may pull, as far as it was asked lately. */
  readonly visibilities: ExpiringLru<{ isPublic: boolean }>;
  /** Names this isolate among those that serve the registry. */
  readonly instance: string;
  readonly pullEvents: PullEvents;
  ledger(name: RepositoryName): LedgerApi;
  shard(digest: Digest): BlobShardApi;
  /** The names of all shards, in order. */
  readonly shardNames: string[];
  shardNamed(name: string): BlobShardApi;
  upload(id: string): UploadApi;
  catalog(): CatalogApi;
  webhooks(): WebhooksApi;
  webhookQueue(id: string): WebhookQueueApi;
  /** Has the catalog add up what this isolate counted. `openForMs`: without uploads that were not open for so long yet. */
  reportCounts(openForMs?: number): Promise<void>;
  /** The registry's own secret, which the catalog made; asked for once an isolate. */
  sessionSecret(): Promise<Uint8Array>;
}

const registries = new WeakMap<Env, Registry>();

/**
 * The registry of these bindings; one an isolate.
 *
 * @throws SettingError when a variable is wrong.
 */
export function registryOf(env: Env, clock: Clock = systemClock): Registry {
  const known = registries.get(env);
  if (known !== undefined) return known;
  let secret: Uint8Array | undefined;
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
    tagsSeen: new TagsSeen(),
    visibilities: new ExpiringLru(clock, 1024 * 1024, () => 300),
    instance: crypto.randomUUID(),
    pullEvents: new PullEvents(clock, () => webhooksStub(env)),
    ledger: (name) => repositoryStub(env, name),
    shard: (digest) => shardStub(env, digest),
    shardNames: shardNames(env),
    shardNamed: (name) => namedShardStub(env, name),
    upload: (id) => uploadStub(env, id),
    catalog: () => catalogStub(env),
    webhooks: () => webhooksStub(env),
    webhookQueue: (id) => webhookQueueStub(env, id),
    reportCounts: (openForMs) => reportCounts(env, clock.now(), openForMs),
    sessionSecret: async () => {
      // Only the value is kept: a promise belongs to the request that made it.
      secret ??= await catalogStub(env).sessionSecret();
      return secret;
    },
  };
  registries.set(env, registry);
  return registry;
}
