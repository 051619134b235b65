/**
 * Collection and usage over the whole registry, at an administrator's request.
 */

import type { Result } from "../oci/errors.ts";
import type { PageRequest } from "../oci/http.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Page } from "../rpc/api.ts";
import type { ToldUsage } from "../rpc/search-api.ts";
import { addFreed, nothingFreed } from "../rpc/tally.ts";
import { type Amount, type Freed, type Maintained, type RepositoryUsage, sumOf } from "../rpc/upkeep.ts";
import type { Registry } from "./registry.ts";
import { eachRepository, eachShard, mapAtOnce, walk } from "./walk.ts";

/** How long one object works on each kind of job before the next object is called. */
const objectBudgetMs = 2_000;

/** The result of one request of collection; with a cursor if there is more to do. */
export type CollectResult = { freed: Freed; keptUntilMs: number; cursor?: string };

/**
 * Runs the jobs that are due: first the ledgers unlink unreferenced blobs, then the shards delete blobs without a
 * holder. Abandoned uploads end by their own alarms. `endsGrace`: deleted and unreferenced content is due at once,
 * except what a push may rely on. Error: `REQUEST_INVALID` for a wrong cursor.
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
    eachRepository(registry, (name) => run(registry.listedLedger(name))),
    eachShard(registry, (name) => run(registry.shardNamed(name))),
  ];
  const walked = await walk(registry, phases, cursor);
  return walked.ok ? { ...walked, freed, keptUntilMs } : walked;
}

/** A repository and its size. */
export type NamedUsage = RepositoryUsage & { name: RepositoryName };

/**
 * The size of the whole registry. `logical` and `stored` are as in {@link RepositoryUsage}, but a blob that several
 * repositories share is stored once. `leaving`: what will be deleted. `isComplete`: every repository is counted.
 */
export type TotalUsage = {
  repositories: number;
  logical: Amount;
  stored: Amount;
  leaving: Amount;
  isComplete: boolean;
};

/** A page of repositories with their sizes, and, with the first page, the total. */
export async function readUsage(
  registry: Registry,
  page: PageRequest,
): Promise<{ entries: NamedUsage[]; more: boolean; total?: TotalUsage }> {
  const { entries, more } = await toldUsage(registry, page);
  // Those that have said nothing since an earlier release are asked.
  const usages = await mapAtOnce(entries, async ({ name, usage: told }) => {
    const usage = told ?? (await registry.listedLedger(name).usage());
    return usage === undefined ? [] : [{ name, ...usage }];
  });
  const found = { entries: usages.flat(), more };
  return page.last === "" ? { ...found, total: await totalUsage(registry) } : found;
}

/** What ledgers announced; without an object that hears it, what there is to ask. */
async function toldUsage(registry: Registry, { last, limit }: PageRequest): Promise<Page<ToldUsage>> {
  const search = registry.search();
  if (search !== undefined) return search.usage(last, limit);
  const { entries, more } = await registry.catalog().listRepositories("", last, limit);
  return { entries: entries.map(({ name }) => ({ name, usage: null })), more };
}

async function totalUsage(registry: Registry): Promise<TotalUsage> {
  const told = await registry.search()?.totalUsage();
  const { repositories = 0, logical = sumOf(), manifestsAlone = sumOf() } = told ?? {};
  const shards = await mapAtOnce(await registry.listShards(), (name) => registry.shardNamed(name).usage());
  return {
    repositories,
    logical,
    // Repositories share blobs, so blobs are counted by the shards that store them. Manifests are not shared.
    stored: sumOf(manifestsAlone, ...shards.map(({ blobs }) => blobs)),
    leaving: sumOf(...shards.map(({ leaving }) => leaving)),
    isComplete: told?.isComplete === true && told.untold === 0,
  };
}
