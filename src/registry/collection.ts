/**
 * Collection, usage and the replica, over all of the registry: what administrators ask for by hand.
 */

import type { Result } from "../oci/errors.ts";
import type { PageRequest } from "../oci/http.ts";
import type { RepositoryName } from "../oci/reference.ts";
import { addFreed, nothingFreed } from "../rpc/tally.ts";
import type { Amount, Freed, Maintained, RepositoryUsage } from "../rpc/upkeep.ts";
import type { Registry } from "./registry.ts";
import { eachRepository, eachShard, mapAtOnce, walk } from "./walk.ts";

/** How long one object works on what is due in it, a kind of job, before others have their turn. */
const objectBudgetMs = 2_000;

/** What a request's worth of collection came to; with a cursor where there is more. */
export type CollectResult = { freed: Freed; keptUntilMs: number; cursor?: string };

/**
 * Does what is due now: first the ledgers give up what nothing references, then the shards delete what nobody holds.
 * Uploads that nobody came back to end by their own alarms. `endsGrace`: what is deleted or unreferenced is due, but for
 * what a push may rely on. Error: `REQUEST_INVALID` for a wrong cursor.
 */
export async function collect(
  registry: Registry,
  cursor: string | undefined,
  endsGrace: boolean,
): Promise<Result<CollectResult>> {
  let freed = nothingFreed();
  let keptUntilMs = 0;
  const run = async (object: Pick<Maintained, "collect">) => {
    const collected = await object.collect({ budgetMs: objectBudgetMs, endsGrace });
    freed = addFreed(freed, collected.freed);
    keptUntilMs = Math.max(keptUntilMs, collected.keptUntilMs);
    return collected;
  };
  const phases = [
    eachRepository(registry, (name) => run(registry.ledger(name))),
    eachShard(registry, (name) => run(registry.shardNamed(name))),
  ];
  const walked = await walk(registry, phases, cursor);
  return walked.ok ? { ...walked, freed, keptUntilMs } : walked;
}

/** A repository, and what it holds. */
export type NamedUsage = RepositoryUsage & { name: RepositoryName };

/**
 * What all of the registry holds. `logical` and `stored` are as in {@link RepositoryUsage}, but what several
 * repositories share is stored once; `leaving`: what waits for its deletion.
 */
export type TotalUsage = { repositories: number; logical: Amount; stored: Amount; leaving: Amount };

/** A page of repositories with what each holds, and, with the first page, what all of them do. */
export async function readUsage(
  registry: Registry,
  page: PageRequest,
): Promise<{ entries: NamedUsage[]; more: boolean; total?: TotalUsage }> {
  const found = await usagePage(registry, page);
  return page.last === "" ? { ...found, total: await totalUsage(registry) } : found;
}

async function usagePage(registry: Registry, { last, limit }: PageRequest) {
  const { entries, more } = await registry.catalog().listRepositories("", last, limit);
  const usages = await mapAtOnce(entries, async ({ name }) => {
    const usage = await registry.ledger(name).usage();
    return usage === undefined ? [] : [{ name, ...usage }];
  });
  return { entries: usages.flat(), more };
}

/** How many repositories are asked at a time for the sum of all. */
const totalPage = 1000;

async function totalUsage(registry: Registry): Promise<TotalUsage> {
  const total: TotalUsage = { repositories: 0, logical: zero, stored: zero, leaving: zero };
  let last = "";
  for (let more = true; more; ) {
    const page = await usagePage(registry, { last, limit: totalPage });
    for (const { logical, stored, blobBytes, blobs } of page.entries) {
      total.repositories++;
      total.logical = add(total.logical, logical);
      // Blobs are counted where they are stored, as repositories share them; manifests are their repository's own.
      total.stored = add(total.stored, { objects: stored.objects - blobs, bytes: stored.bytes - blobBytes });
      last = page.entries.at(-1)?.name ?? last;
    }
    more = page.more && page.entries.length > 0;
  }
  for (const shard of await mapAtOnce(registry.shardNames, (name) => registry.shardNamed(name).usage())) {
    total.stored = add(total.stored, shard.blobs);
    total.leaving = add(total.leaving, shard.leaving);
  }
  return total;
}

const zero: Amount = { objects: 0, bytes: 0 };

function add(one: Amount, other: Amount): Amount {
  return { objects: one.objects + other.objects, bytes: one.bytes + other.bytes };
}
