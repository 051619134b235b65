/**
 * Monitoring: whether every dependency of the registry answers, how full the disk of one machine is, and the state of
 * webhook deliveries.
 */

import type { LaterData } from "../data-versions.ts";
import { log } from "../log.ts";
import type { Sample } from "../metrics/meter.ts";
import { type RegistryEvent, registryItself } from "../oci/event.ts";
import type { Digest, RepositoryName } from "../oci/reference.ts";
import { HasLaterData, nameIndexStub, upstreamStub } from "../rpc/stubs.ts";
import type { DiskState } from "../storage/disk-space.ts";
import { withTimeout } from "../timeout.ts";
import { minute, second } from "../units.ts";
import type { Registry } from "./registry.ts";
import type { WaitUntil } from "./shared-calls.ts";
import { mapAtOnce } from "./walk.ts";

/** The state of one dependency, and how long its answer took. */
export type Check = { part: string; ok: boolean; milliseconds: number };

/** How long a dependency may take to answer. */
const limitMs = 3000;

/** How long an isolate reuses the last results, as anybody may request them. */
const rememberedMs = 5000;

/** A name whose ledger is asked if any would do. Nobody has to have pushed to it. */
export const nobody = "health-check" as RepositoryName;
const nothing = `sha256:${"0".repeat(64)}` as Digest;

/** Reads something that does not exist from each dependency. Nothing is written. */
function parts(registry: Registry): Record<string, () => Promise<unknown>> {
  const { replica } = registry;
  const session = {
    id: "00000000-0000-0000-0000-000000000000",
    repository: nobody,
    algorithm: "sha256",
  } as const;
  return {
    ...(replica && { replica: () => replica.ping() }),
    bucket: () => registry.bucket.sizeOf("health-check"),
    catalog: () => registry.catalog().repository(nobody),
    names: () => nameIndexStub(registry.objects, nobody).has(nobody),
    repository: () => registry.listedLedger(nobody).info(),
    blobs: () => registry.shard(nothing).locate(nothing),
    upload: () => registry.upload(session.id).status(session, false),
    webhooks: () => registry.webhooks().pullPatterns(),
    "webhook queue": () => registry.webhookQueue("health-check").state(),
  };
}

/** How long an isolate reuses what it knows of later data, and how long it waits for it. In milliseconds. */
const laterDataKeptMs = minute;
const laterDataLimitMs = second;

const lastLaterData = new WeakMap<Registry, { found: LaterData[]; until: number }>();

/**
 * Which objects have data of a later release, as far as they were called since this release was deployed. Empty if the
 * catalog does not answer in time.
 */
export async function findLaterData(registry: Registry): Promise<LaterData[]> {
  const now = registry.clock.now();
  const last = lastLaterData.get(registry);
  if (last !== undefined && last.until > now) return last.found;
  const asked = registry
    .catalog()
    .laterData()
    .catch((error): LaterData[] => (error instanceof HasLaterData ? [{ kind: "Catalog", objects: 1 }] : []));
  const found = await withTimeout(asked, laterDataLimitMs, []);
  lastLaterData.set(registry, { found, until: now + laterDataKeptMs });
  return found;
}

const lastChecks = new WeakMap<Registry, { checks: Check[]; until: number }>();

/** Checks all dependencies at once. */
export async function checkHealth(registry: Registry): Promise<Check[]> {
  const now = registry.clock.now();
  const last = lastChecks.get(registry);
  if (last !== undefined && last.until > now) return last.checks;
  const checks = await Promise.all(
    Object.entries(parts(registry)).map(async ([part, ask]): Promise<Check> => {
      const startedAt = performance.now();
      const ok = await answersInTime(ask);
      return { part, ok, milliseconds: Math.round((performance.now() - startedAt) * 10) / 10 };
    }),
  );
  lastChecks.set(registry, { checks, until: now + rememberedMs });
  return checks;
}

async function answersInTime(ask: () => Promise<unknown>): Promise<boolean> {
  const answered = ask().then(
    () => true,
    () => false,
  );
  return withTimeout(answered, limitMs, false);
}

/** How long totals of bytes are cached, in milliseconds: for them objects read through their tables. */
const storedKeptMs = 60_000;

const lastSums = new WeakMap<Registry, { bytes: number; until: number }>();
const lastLargest = new WeakMap<Registry, { bytes: number; until: number }>();

/** How large the largest ledger is, where ledgers announce that, and the object that hears it answers. */
export async function countLedgers(registry: Registry): Promise<Sample[]> {
  const search = registry.search();
  if (search === undefined) return [];
  const asked = remembered(registry, lastLargest, async () => (await search.totalUsage()).largestLedgerBytes);
  const bytes = await asked.catch((error) => log("warn", "ledgers not counted", { error: String(error) }));
  if (bytes === undefined) return [];
  return [{ family: "stowage_largest_ledger_bytes", labels: [], value: bytes }];
}

/** Metrics of the disk and of what is stored on it. */
export async function countStorage(registry: Registry): Promise<Sample[]> {
  const disk = await registry.space?.state();
  if (disk === undefined) return [];
  return [
    { family: "stowage_disk_free_bytes", labels: [], value: disk.freeBytes },
    { family: "stowage_disk_size_bytes", labels: [], value: disk.totalBytes },
    { family: "stowage_disk_reserve_bytes", labels: [], value: disk.reserveBytes },
    { family: "stowage_stored_bytes", labels: [], value: await storedBytes(registry) },
  ];
}

function storedBytes(registry: Registry): Promise<number> {
  return remembered(registry, lastSums, async () => {
    const usages = await mapAtOnce(await registry.listShards(), (name) => registry.shardNamed(name).usage());
    return usages.reduce((sum, { blobs, leaving }) => sum + blobs.bytes + leaving.bytes, 0);
  });
}

/** A number of bytes that is asked for once in {@link storedKeptMs}. */
async function remembered(
  registry: Registry,
  last: typeof lastSums,
  ask: () => Promise<number>,
): Promise<number> {
  const now = registry.clock.now();
  const known = last.get(registry);
  if (known !== undefined && known.until > now) return known.bytes;
  const bytes = await ask();
  last.set(registry, { bytes, until: now + storedKeptMs });
  return bytes;
}

/**
 * Logs when the disk becomes low, with an event for webhooks, and when it is no longer low. Caches of upstreams then
 * evict some of what they have, before a push is refused.
 */
export function tellStorage(registry: Registry, waitUntil: WaitUntil): void {
  const disk = registry.space?.takeNews();
  if (disk === undefined) return;
  const { isLow, ...facts } = disk;
  log("warn", isLow ? "storage low" : "storage ok", facts);
  if (!isLow) return;
  waitUntil(sendLow(registry, disk));
  for (const { id } of registry.settings.upstreams)
    waitUntil(
      upstreamStub(registry.objects, id)
        .makeRoom(id)
        .catch((error) => log("warn", "no room made", { upstream: id, error: String(error) })),
    );
}

async function sendLow(registry: Registry, { isLow: _, ...disk }: DiskState): Promise<void> {
  const { publicUrl = "" } = registry.settings;
  const host = publicUrl === "" ? "" : new URL(publicUrl).host;
  const event: RegistryEvent = {
    id: crypto.randomUUID(),
    type: "storage.low",
    time: new Date(registry.clock.now()).toISOString(),
    repository: "",
    target: { disk },
    origin: { ...registryItself, url: publicUrl, host, instance: registry.instance },
  };
  await registry
    .webhooks()
    .accept("", [event])
    .catch((error) => log("warn", "storage not told", { error: String(error) }));
}

/** The samples of all webhooks, without those whose queue does not answer. */
export async function countWebhooks(registry: Registry): Promise<Sample[]> {
  const webhooks = await registry.webhooks().listWebhooks();
  const counted = await Promise.all(
    webhooks.map(async ({ id }) => {
      try {
        return await countQueue(registry, id);
      } catch (error) {
        log("warn", "webhook not counted", { webhook: id, error: String(error) });
        return [];
      }
    }),
  );
  return counted.flat();
}

async function countQueue(registry: Registry, id: string): Promise<Sample[]> {
  const { waiting, deadLetters, tries } = await registry.webhookQueue(id).counts();
  return [
    ...Object.entries(tries).map(
      ([outcome, value]): Sample => ({
        family: "stowage_webhook_deliveries_total",
        labels: [id, outcome],
        value,
      }),
    ),
    { family: "stowage_webhook_events_waiting", labels: [id], value: waiting },
    { family: "stowage_webhook_dead_letters", labels: [id], value: deadLetters },
  ];
}
