/** What administrators see and do about upstreams. */

import type { Origin } from "../../oci/event.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { Upstream } from "../../oci/upstream.ts";
import type { Evicted } from "../../rpc/cache-api.ts";
import { upstreamStub } from "../../rpc/stubs.ts";
import type { UpstreamState } from "../../rpc/upstream-api.ts";
import { dayOf } from "../../units.ts";
import type { Registry } from "../registry.ts";
import { mapAtOnce } from "../walk.ts";

const pageSize = 1000;

/** The upstream with this id; `undefined` if the settings have none. */
export function upstreamOf({ settings }: Pick<Registry, "settings">, id: string): Upstream | undefined {
  return settings.upstreams.find((upstream) => upstream.id === id);
}

/** The state of an upstream, as its object has it. */
export function upstreamState({ objects }: Registry, { id }: Upstream): Promise<UpstreamState> {
  return upstreamStub(objects, id).state();
}

/** The names below the id of an upstream, and whether each is a cached repository or one that was pushed. */
export async function repositoriesBelow(
  registry: Registry,
  { id }: Upstream,
): Promise<{ name: RepositoryName; isCached: boolean }[]> {
  const prefix = `${id}/`;
  const found: { name: RepositoryName; isCached: boolean }[] = [];
  for (let last = prefix; ; ) {
    const { entries, more } = await registry.catalog().listRepositories(prefix, last, pageSize);
    for (const { name, kind } of entries)
      if (name.startsWith(prefix)) found.push({ name, isCached: kind === "cache" });
    const end = entries.at(-1)?.name;
    // Names with the id elsewhere come after all that begin with it, or before.
    if (!more || end === undefined || !end.startsWith(prefix)) return found;
    last = end;
  }
}

/** What a check of an upstream found. */
export type UpstreamCheck = { isReachable: boolean; detail: string; milliseconds: number };

/**
 * Asks an upstream whether it answers with our credentials; with a name, whether that repository of it may be read. It
 * is asked even if it failed a moment ago, and if it answers, others ask it again.
 */
export async function checkUpstream(
  { objects, clock }: Registry,
  { id }: Upstream,
  name: RepositoryName | undefined,
): Promise<UpstreamCheck> {
  const startedAtMs = clock.now();
  const checked = await upstreamStub(objects, id).check(id, name);
  return { ...checked, milliseconds: clock.now() - startedAtMs };
}

const nothing: Evicted = { manifests: 0, blobs: 0, bytes: 0, more: false };

/** How many transactions one repository gets. */
const maxRounds = 100;

/**
 * Removes what nobody used for so many days from the caches of an upstream, or from one of them, by its name there. 0:
 * everything that was not used today; `undefined`: everything.
 */
export async function evict(
  registry: Registry,
  upstream: Upstream,
  only: RepositoryName | undefined,
  unusedDays: number | undefined,
  origin: Origin,
): Promise<Evicted> {
  const today = dayOf(registry.clock.now());
  // A clock of another object may be a day ahead.
  const beforeDay = unusedDays === undefined ? today + 2 : today - unusedDays;
  const below = (await repositoriesBelow(registry, upstream)).filter(
    ({ name, isCached }) => isCached && (only === undefined || name === `${upstream.id}/${only}`),
  );
  const results = await mapAtOnce(below, async ({ name }) => {
    let sum = nothing;
    for (let round = 0; round < maxRounds; round++) {
      const evicted = await registry.ledger(name).evict(beforeDay, origin);
      sum = add(sum, evicted);
      if (!evicted.more) break;
    }
    return sum;
  });
  return results.reduce(add, nothing);
}

function add(one: Evicted, other: Evicted): Evicted {
  return {
    manifests: one.manifests + other.manifests,
    blobs: one.blobs + other.blobs,
    bytes: one.bytes + other.bytes,
    more: other.more,
  };
}
