/**
 * Scrub and rebuild of the whole registry.
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

/** The result of one request of a scrub; with a cursor if there is more to do. */
export type ScrubResult = { report: ScrubReport; cursor?: string };

/**
 * Reads and compares everything that is stored: bytes with digests, ledgers with shards, KV with the ledgers, and both
 * stores with what the objects know of them. Error: `REQUEST_INVALID` for a wrong cursor.
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
 * Adds the result of a step to the report; returns where the next step begins. A step that fails is skipped, and
 * recorded as unchecked in the report.
 */
type Take = (what: Finding, step: () => Promise<ScrubStep>) => Promise<string | undefined>;

/** How many shards are scrubbed at once. */
const shardsAtOnce = 8;

/**
 * Scrubs a piece of each of several shards: of those that the cursor lists as unfinished, or of the next ones. The
 * cursor is the last shard that was begun, followed by the unfinished ones with their positions: `0f 0a=sha256:…
 * 0e=sha256:…`.
 */
async function scrubShards(registry: Registry, after: string, take: Take): Promise<string | undefined> {
  const [begun = "", ...unfinished] = after.split(" ");
  const shards = await registry.listShards();
  const following = shards.filter((name) => name > begun).slice(0, shardsAtOnce);
  const pieces =
    unfinished.length > 0 ? unfinished.map(parsePiece) : following.map((shard) => ({ shard, from: "" }));
  const left = await Promise.all(
    pieces.map(async ({ shard, from }) => {
      const next = await take({ what: `shard ${shard}` }, () => registry.shardNamed(shard).scrub(from));
      return next === undefined ? [] : [`${shard}=${next}`];
    }),
  ).then((pairs) => pairs.flat());
  const last = unfinished.length > 0 ? begun : (following.at(-1) ?? begun);
  if (left.length > 0) return [last, ...left].join(" ");
  return last === (shards.at(-1) ?? "") ? undefined : last;
}

function parsePiece(text: string): { shard: string; from: string } {
  const [shard = "", from = ""] = text.split("=");
  return { shard, from };
}

/** Scrubs the next piece of the repository that a cursor names, or the first piece of the repository after it. */
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
  return take({ what: "repository", repository }, () => registry.listedLedger(repository).scrub(after));
}

/**
 * Rebuilds the replica: the ledgers rewrite all their rows, by their alarms, and orphaned rows are removed. Pulls go on
 * meanwhile, as the ledgers answer for rows that KV does not have. Error: `REQUEST_INVALID` for a wrong cursor.
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
      await registry.listedLedger(name).rebuildReplica();
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
