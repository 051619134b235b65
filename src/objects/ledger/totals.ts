/**
 * What a repository holds, counted from its tables, so that pushes pay nothing for it. A large repository is counted in
 * ranges of digests, and other calls are answered between two of them: so what changes meanwhile is counted or is not.
 */
import type { ContentKind } from "../../oci/manifest-summary.ts";
import type { RepositorySummary } from "../../rpc/ledger-views.ts";
import { type Amount, type RepositoryUsage, sumOf } from "../../rpc/upkeep.ts";
import { minute } from "../../units.ts";
import { oneRow, readRows } from "../sql.ts";

/** How much of the database one range reads, about, in bytes. */
const rangeBytes = 1024 * 1024;

/** How many ranges there are at most: so many share the first four digits of a hash. */
const maxRanges = 0x10000;

/** How long totals are kept if nothing changes, in milliseconds. */
const keptMs = minute;

const maxKinds = 10;
const maxPlatforms = 50;

/** The tags under which cosign stores signatures and attestations: `sha256-<hex>.sig`. */
export const madeByCosign = "sha256-*.*";

/** Digests from the first on, up to but without the second. */
type Range = [from: string, until: string];

type LastPush = { pushedAtMs: number | null; pushedBy: string | null };

/** What a repository holds, in numbers and as its page shows it. */
export type Totals = { usage: RepositoryUsage; summary: RepositorySummary };

/** Counts what a repository holds. */
export async function countTotals(sql: SqlStorage): Promise<Totals> {
  const count = new Count();
  for (const [index, range] of rangesFor(sql.databaseSize).entries()) {
    if (index > 0) await scheduler.wait(0);
    count.add(sql, range);
  }
  return count.totals(sql.databaseSize);
}

/** Totals that are kept: counting reads through whole tables, and anybody may ask for that of a public repository. */
export class KeptTotals {
  #kept: { counting: Promise<Totals>; changes: number; until: number } | undefined;

  /** Those after this number of changes, counted a minute ago at most; `now`: in milliseconds since 1970. */
  async of(sql: SqlStorage, changes: number, now: number): Promise<Totals> {
    if (this.#kept?.changes !== changes || now >= this.#kept.until)
      this.#kept = { counting: countTotals(sql), changes, until: now + keptMs };
    const kept = this.#kept;
    try {
      return await kept.counting;
    } catch (error) {
      // Who asks next has it counted again.
      if (this.#kept === kept) this.#kept = undefined;
      throw error;
    }
  }
}

/** Ranges that have all digests. Hashes are spread evenly; those of SHA-512 are all in the last range. */
function rangesFor(databaseBytes: number): Range[] {
  const count = Math.min(Math.ceil(databaseBytes / rangeBytes) || 1, maxRanges);
  const starts = Array.from({ length: count }, (_, index) => {
    const digits = Math.floor((index * maxRanges) / count).toString(16);
    return index === 0 ? "" : `sha256:${digits.padStart(4, "0")}`;
  });
  return starts.map((from, index) => [from, starts[index + 1] ?? "~"]);
}

/** The sums over the ranges so far. */
class Count {
  #manifests = sumOf();
  #blobs = sumOf();
  #references = sumOf();
  #unreferenced = sumOf();
  #tags = 0;
  #madeByCosign = 0;
  #last: LastPush = { pushedAtMs: null, pushedBy: null };
  #kinds: ContentKind[] = [];
  #platforms: string[] = [];

  add(sql: SqlStorage, range: Range): void {
    const within = (column: string) => `${column} >= ?1 AND ${column} < ?2` as const;
    const sum = (column: string, from: string) =>
      oneRow<Amount>(
        sql,
        `SELECT count(*) AS objects, coalesce(sum(${column}), 0) AS bytes FROM ${from}`,
        ...range,
      );
    this.#manifests = sumOf(this.#manifests, sum("size", `manifests WHERE ${within("digest")}`));
    this.#blobs = sumOf(this.#blobs, sum("size", `blobs WHERE ${within("digest")}`));
    const ofBlobs = `blobs JOIN manifest_references ON manifest_references.digest = blobs.digest`;
    this.#references = sumOf(
      this.#references,
      sum("blobs.size", `${ofBlobs} WHERE ${within("blobs.digest")}`),
    );
    const isReferenced = "EXISTS (SELECT 1 FROM manifest_references WHERE digest = blobs.digest)";
    this.#unreferenced = sumOf(
      this.#unreferenced,
      sum("size", `blobs WHERE ${within("digest")} AND NOT ${isReferenced}`),
    );
    const tags = oneRow<{ count: number; cosigns: number }>(
      sql,
      `SELECT count(*) AS count, coalesce(sum(tag GLOB '${madeByCosign}'), 0) AS cosigns FROM tags
       WHERE ${within("digest")}`,
      ...range,
    );
    this.#tags += tags.count;
    this.#madeByCosign += tags.cosigns;
    // The other columns are of the row that has the maximum: SQLite, "Bare columns in an aggregate query".
    const last = oneRow<LastPush>(
      sql,
      `SELECT max(pushed_at) AS pushedAtMs, pushed_by AS pushedBy FROM manifests WHERE ${within("digest")}`,
      ...range,
    );
    if ((last.pushedAtMs ?? 0) > (this.#last.pushedAtMs ?? 0)) this.#last = last;
    const isTagged = `EXISTS (SELECT 1 FROM tags
      WHERE tags.digest = manifests.digest AND tag NOT GLOB '${madeByCosign}')` as const;
    const kinds = readRows<{ kind: ContentKind }>(
      sql,
      `SELECT DISTINCT kind FROM manifests WHERE ${within("digest")} AND kind IS NOT NULL AND ${isTagged}`,
      ...range,
    );
    this.#kinds = first(maxKinds, [...this.#kinds, ...kinds.map(({ kind }) => kind)]);
    const platforms = readRows<{ platform: string }>(
      sql,
      `SELECT DISTINCT json_each.value AS platform FROM manifests, json_each(manifests.platforms)
       WHERE ${within("digest")} AND ${isTagged} ORDER BY platform LIMIT ${maxPlatforms}`,
      ...range,
    );
    this.#platforms = first(maxPlatforms, [...this.#platforms, ...platforms.map(({ platform }) => platform)]);
  }

  totals(ledgerBytes: number): Totals {
    const [manifests, blobs] = [this.#manifests, this.#blobs];
    const logical = sumOf(manifests, this.#references, this.#unreferenced);
    const stored = sumOf(manifests, blobs);
    const { pushedAtMs, pushedBy } = this.#last;
    return {
      usage: {
        manifests: manifests.objects,
        tags: this.#tags,
        blobs: blobs.objects,
        blobBytes: blobs.bytes,
        ...{ ledgerBytes, logical, stored },
      },
      summary: {
        tags: this.#tags - this.#madeByCosign,
        manifests: manifests.objects,
        ...{ logical, stored },
        ...(pushedAtMs === null ? {} : { pushedAtMs }),
        ...(pushedBy === null ? {} : { pushedBy }),
        kinds: this.#kinds,
        platforms: this.#platforms,
      },
    };
  }
}

/** The first of these texts, in order, each once. */
function first<T extends string>(limit: number, texts: T[]): T[] {
  return [...new Set(texts)].sort().slice(0, limit);
}
