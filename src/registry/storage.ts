/**
 * How full the disk of one machine is: as metrics, and told once when it becomes low. Where blobs are in R2 there is
 * nothing to tell.
 */
import type { Sample } from "../metrics/meter.ts";
import { shardNames } from "../objects/stubs.ts";
import { type RegistryEvent, registryItself } from "../oci/event.ts";
import type { DiskState } from "../storage/disk-space.ts";
import type { Registry } from "./registry.ts";
import type { WaitUntil } from "./shared-calls.ts";
import { mapAtOnce } from "./walk.ts";

/** How long a sum of what is stored counts, in milliseconds: the shards read through their tables for it. */
const storedKeptMs = 60_000;

const lastSums = new WeakMap<Registry, { bytes: number; until: number }>();

/** The disk, and what is stored on it. */
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

async function storedBytes(registry: Registry): Promise<number> {
  const now = registry.clock.now();
  const last = lastSums.get(registry);
  if (last !== undefined && last.until > now) return last.bytes;
  const usages = await mapAtOnce(shardNames(registry.env), (name) => registry.shardNamed(name).usage());
  const bytes = usages.reduce((sum, { blobs, leaving }) => sum + blobs.bytes + leaving.bytes, 0);
  lastSums.set(registry, { bytes, until: now + storedKeptMs });
  return bytes;
}

/** Logs that the disk has become low, and lets webhooks know; and logs when it is not any more. */
export function tellStorage(registry: Registry, waitUntil: WaitUntil): void {
  const disk = registry.space?.takeNews();
  if (disk === undefined) return;
  const { isLow, ...facts } = disk;
  console.warn(JSON.stringify({ event: isLow ? "storage low" : "storage ok", ...facts }));
  if (isLow) waitUntil(sendLow(registry, disk));
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
    .catch((error) => console.warn(JSON.stringify({ event: "storage not told", error: String(error) })));
}
