/**
 * Keeps what is cached of an upstream within its bounds: what nobody used for `keepFor` goes, and above `maxBytes`, or
 * while the disk of one machine is low, what was not used for longest. Use is known by the day, so what was used on one
 * day goes together.
 */
import { log } from "../../log.ts";
import { registryItself } from "../../oci/event.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { Upstream } from "../../oci/upstream.ts";
import { catalogStub, type ObjectBindings, repositoryStub } from "../../rpc/stubs.ts";
import { type DiskState, enoughReserves } from "../../storage/disk-space.ts";
import { day, dayOf, hour } from "../../units.ts";

/** The job of the object that keeps the bounds, and how often. */
export const boundsJob = "bounds";
export const boundsEveryMs = hour;

const pageSize = 1000;

/** How many transactions of one repository a round makes at most; the next round goes on. */
const maxSteps = 20;

/** Whether there are bounds to keep. `hasDisk`: blobs are on the disk of one machine. */
export function hasBounds({ keepForMs, maxBytes, isOffline }: Upstream, hasDisk: boolean): boolean {
  return keepForMs !== undefined || maxBytes !== undefined || (hasDisk && !isOffline);
}

/**
 * How many bytes the disk lacks until it is no longer low; 0 while it is not. What is evicted is not gone at once, so
 * this much is evicted each time that it is asked.
 */
export function missingBytes(disk: DiskState | undefined): number {
  return disk?.isLow === true ? Math.max(0, disk.reserveBytes * enoughReserves - disk.freeBytes) : 0;
}

/**
 * Evicts what is beyond the bounds of an upstream, and as much as the disk lacks: not of one that is offline, from which
 * nothing could be fetched again.
 */
export async function keepBounds(
  env: ObjectBindings,
  nowMs: number,
  upstream: Upstream,
  lackingBytes: number,
): Promise<void> {
  const { id, keepForMs, maxBytes = Number.POSITIVE_INFINITY, isOffline } = upstream;
  const today = dayOf(nowMs);
  const names = await cachedRepositories(env, id);
  if (keepForMs !== undefined)
    for (const name of names) await evict(env, id, name, today - Math.ceil(keepForMs / day));
  const lacking = isOffline ? 0 : lackingBytes;
  if (maxBytes === Number.POSITIVE_INFINITY && lacking === 0) return;
  const usages = new Map<RepositoryName, { bytes: number; oldestDay: number | null }>();
  for (const name of names) {
    const usage = await repositoryStub(env, name).cacheUsage();
    if (usage !== undefined) usages.set(name, usage);
  }
  let bytes = usages.values().reduce((sum, usage) => sum + usage.bytes, 0);
  const mostBytes = Math.min(maxBytes, bytes - lacking);
  // What was used today stays: clients are pulling it.
  for (let oldest = minDay(usages); bytes > mostBytes && oldest < today; oldest = minDay(usages)) {
    for (const [name, usage] of usages) {
      if (usage.oldestDay === null || usage.oldestDay > oldest) continue;
      bytes -= await evict(env, id, name, oldest + 1);
      const left = (await repositoryStub(env, name).cacheUsage()) ?? { bytes: 0, oldestDay: null };
      // What is older and still there is an index of which an image was used since.
      const oldestDay = left.oldestDay === null ? null : Math.max(left.oldestDay, oldest + 1);
      usages.set(name, { ...left, oldestDay });
    }
  }
}

function minDay(usages: Map<RepositoryName, { oldestDay: number | null }>): number {
  return usages
    .values()
    .reduce((least, { oldestDay }) => Math.min(least, oldestDay ?? least), Number.POSITIVE_INFINITY);
}

/** Evicts from one repository what was not used since a day; returns how many bytes. */
async function evict(
  env: ObjectBindings,
  upstream: string,
  repository: RepositoryName,
  beforeDay: number,
): Promise<number> {
  let bytes = 0;
  let manifests = 0;
  for (let step = 0; step < maxSteps; step++) {
    const evicted = await repositoryStub(env, repository).evict(beforeDay, registryItself);
    bytes += evicted.bytes;
    manifests += evicted.manifests;
    if (!evicted.more) break;
  }
  if (manifests > 0) log("info", "evicted", { upstream, repository, manifests, sizeBytes: bytes });
  return bytes;
}

/** The cached repositories of an upstream. */
async function cachedRepositories(env: ObjectBindings, id: string): Promise<RepositoryName[]> {
  const prefix = `${id}/`;
  const names: RepositoryName[] = [];
  for (let last = prefix; ; ) {
    const { entries, more } = await catalogStub(env).listRepositories(prefix, last, pageSize);
    for (const { name, kind } of entries) if (name.startsWith(prefix) && kind === "cache") names.push(name);
    const end = entries.at(-1)?.name;
    if (!more || end === undefined || !end.startsWith(prefix)) return names;
    last = end;
  }
}
