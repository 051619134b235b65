/**
 * Scrub and rebuild, over all of the registry.
 */

import type { Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import {
  addReport,
  emptyReport,
  type Finding,
  logFindings,
  type ScrubReport,
  type ScrubStep,
} from "../rpc/scrub-report.ts";
import { scrubBucket, scrubReplica } from "../rpc/scrub-stores.ts";
import type { Registry } from "./registry.ts";
import { eachRepository, type Phase, walk } from "./walk.ts";

/** What a request's worth of a scrub came to; with a cursor where there is more. */
export type ScrubResult = { report: ScrubReport; cursor?: string };

/**
 * Reads and compares all that is stored: bytes with digests, ledgers with shards, KV with the ledgers, and both stores
 * with what is known of them. Error: `REQUEST_INVALID` for a wrong cursor.
 */
export async function scrub(registry: Registry, cursor: string | undefined): Promise<Result<ScrubResult>> {
  const { clock } = registry;
  const report = emptyReport();
  const take: Take = async (what, step) => {
    try {
      const { report: found, next } = await step();
      addReport(report, found);
      return next;
    } catch (error) {
      report.unchecked.push({ ...what, detail: String(error) });
      return undefined;
    }
  };
  const phases: Phase[] = [
    { name: "shards", step: (after) => scrubShards(registry, after, take) },
    { name: "repositories", step: (after) => scrubRepositories(registry, after, take) },
    {
      name: "bucket",
      step: (after) => take({ what: "bucket" }, () => scrubBucket(registry, after, clock.now())),
    },
    { name: "replica", step: (after) => take({ what: "replica" }, () => scrubReplica(registry, after)) },
  ];
  const walked = await walk(registry, phases, cursor);
  logFindings(report);
  return walked.ok ? { ...walked, report } : walked;
}

/**
 * Adds what a step comes to to the report; returns where the next one begins. One that fails is left out, of which the
 * report tells, and keeps no other from being taken.
 */
type Take = (what: Finding, step: () => Promise<ScrubStep>) => Promise<string | undefined>;

/** How many shards are gone through at once. */
const shardsAtOnce = 8;

/**
 * A piece of each of some shards: those that a cursor says are not through, or the next ones. The cursor is the last
 * shard that was begun, and after it those that have more, each with where to go on: `0f 0a=sha256:… 0e=sha256:…`.
 */
async function scrubShards(registry: Registry, after: string, take: Take): Promise<string | undefined> {
  const [begun = "", ...unfinished] = after.split(" ");
  const following = registry.shardNames.filter((name) => name > begun).slice(0, shardsAtOnce);
  const pieces =
    unfinished.length > 0 ? unfinished.map(parsePiece) : following.map((shard) => ({ shard, from: "" }));
  const left = await Promise.all(
    pieces.map(async ({ shard, from }) => {
      const next = await take({ what: `shard ${shard}` }, () => registry.shardNamed(shard).scrub(from));
      return next === undefined ? [] : [`${shard}=${next}`];
    }),
  ).then((pairs) => pairs.flat());
  const last = unfinished.length > 0 ? begun : following.at(-1);
  if (left.length > 0) return [last, ...left].join(" ");
  return last === registry.shardNames.at(-1) ? undefined : last;
}

function parsePiece(text: string): { shard: string; from: string } {
  const [shard = "", from = ""] = text.split("=");
  return { shard, from };
}

/** A piece of the repository that a cursor names, or the beginning of the one after it. */
async function scrubRepositories(registry: Registry, after: string, take: Take): Promise<string | undefined> {
  const [before = "", ...rest] = after.split(" ");
  if (rest.length > 0) {
    const next = await scrubRepository(registry, before as RepositoryName, rest.join(" "), take);
    return next === undefined ? before : `${before} ${next}`;
  }
  const [info] = (await registry.catalog().listRepositories("", before, 1)).entries;
  if (info === undefined) return undefined;
  const next = await scrubRepository(registry, info.name, "", take);
  return next === undefined ? info.name : `${info.name} ${next}`;
}

function scrubRepository(
  registry: Registry,
  repository: RepositoryName,
  after: string,
  take: Take,
): Promise<string | undefined> {
  return take({ what: "repository", repository }, () => registry.ledger(repository).scrub(after));
}

/**
 * Writes the replica anew: the ledgers write all their rows, by their alarms, and remove what is not theirs. Pulls go
 * on: what KV does not have, the ledgers answer. Error: `REQUEST_INVALID` for a wrong cursor.
 */
export async function rebuildReplica(
  registry: Registry,
  cursor: string | undefined,
): Promise<Result<{ repositories: number; removed: number; cursor?: string }>> {
  let repositories = 0;
  let removed = 0;
  if (registry.replica === undefined) return { ok: true, repositories, removed };
  const phases: Phase[] = [
    eachRepository(registry, async (name) => {
      await registry.ledger(name).rebuildReplica();
      repositories++;
      return undefined;
    }),
    {
      name: "replica",
      step: async (after) => {
        const { report, next } = await scrubReplica(registry, after);
        removed += report.repaired.length;
        return next;
      },
    },
  ];
  const walked = await walk(registry, phases, cursor);
  return walked.ok ? { ...walked, repositories, removed } : walked;
}
