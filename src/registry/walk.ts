/**
 * Work over the whole registry, in requests of bounded time: each ends with a cursor, from which the next continues.
 */
import { failure, type Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import { HasLaterData } from "../rpc/stubs.ts";
import type { Registry } from "./registry.ts";

/** One phase of such work. A step does the part after `after` (`""` at first), and returns where the next continues. */
export type Phase = { name: string; step(after: string): Promise<string | undefined> };

/** How long one request works, in milliseconds. The last step may exceed it. */
const budgetMs = 15_000;

/**
 * Runs the phases from a cursor, or from the beginning. The work is complete if the result has no cursor.
 *
 * Error: `REQUEST_INVALID` for a cursor of other work.
 */
export async function walk(
  { clock }: Pick<Registry, "clock">,
  phases: Phase[],
  cursor: string | undefined,
): Promise<Result<{ cursor?: string }>> {
  const deadline = clock.now() + budgetMs;
  const [first] = phases;
  const [name = "", ...rest] = (cursor ?? `${first?.name}:`).split(":");
  let after: string | undefined = rest.join(":");
  let index = phases.findIndex((phase) => phase.name === name);
  if (index < 0) return failure("REQUEST_INVALID", "cursor must be one that this endpoint answered with");
  for (let phase = phases[index]; phase !== undefined; phase = phases[++index]) {
    while (after !== undefined) {
      after = await phase.step(after);
      if (after !== undefined && clock.now() > deadline)
        return { ok: true, cursor: `${phase.name}:${after}` };
    }
    after = "";
    const next = phases[index + 1];
    if (next !== undefined && clock.now() > deadline) return { ok: true, cursor: `${next.name}:` };
  }
  return { ok: true };
}

/** How many objects are called at once. */
const atOnce = 8;

/** How many repositories a step covers. */
const repositoriesAStep = 32;

/** How often an object that has more to do is called again. After that, its own alarm continues. */
const maxVisits = 5;

/** The result of one object, and whether it has more to do. */
type Visit<N> = (name: N) => Promise<{ more: boolean } | undefined>;

/** Visits objects. Those with data of a later release are passed over: they have told the log and the catalog. */
async function visitAll<N>(names: N[], visit: Visit<N>): Promise<void> {
  await mapAtOnce(names, async (name) => {
    try {
      for (let visits = 0; visits < maxVisits; visits++) {
        if ((await visit(name))?.more !== true) return;
      }
    } catch (error) {
      if (!(error instanceof HasLaterData)) throw error;
    }
  });
}

/** A phase that calls each repository, and again those that have more to do. */
export function eachRepository(registry: Registry, visit: Visit<RepositoryName>): Phase {
  return {
    name: "repositories",
    step: async (after) => {
      const { entries, more } = await registry.catalog().listLedgers(after, repositoriesAStep);
      await visitAll(entries, visit);
      return more ? entries.at(-1) : undefined;
    },
  };
}

/** How many shards a step covers. */
const shardsAStep = 32;

/** A phase that calls each shard that may have data. */
export function eachShard(registry: Registry, visit: Visit<string>): Phase {
  return {
    name: "shards",
    step: async (after) => {
      const left = (await registry.listShards()).filter((name) => name > after);
      const names = left.slice(0, shardsAStep);
      await visitAll(names, visit);
      return left.length > names.length ? names.at(-1) : undefined;
    },
  };
}

/** Like `Promise.all` over a map, with a bounded number in flight. */
export async function mapAtOnce<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += atOnce) {
    results.push(...(await Promise.all(items.slice(start, start + atOnce).map(work))));
  }
  return results;
}
