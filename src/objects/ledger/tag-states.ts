/** What retention has to know of tags, and what is freed without some of them. */
import type { Digest, Tag } from "../../oci/reference.ts";
import type { TagState } from "../../policy/retention.ts";
import { type Amount, sumOf } from "../../rpc/upkeep.ts";
import { day } from "../../units.ts";
import { eachRow, inPieces, readRows } from "../sql.ts";

/** A tag with what it points at. */
export type StoredTag = TagState & { tag: Tag; digest: Digest };

type StateRow = { tag: Tag; digest: Digest; pushedAtMs: number; usedDay: number | null; isHeld: number };

/**
 * All tags. A tag is used when its manifest is used, by any name, or an image that its index lists.
 *
 * @param sinceMs since when uses are known: what was not used since counts as used then
 */
export function readTagStates(sql: SqlStorage, sinceMs: number): StoredTag[] {
  const query = `SELECT tags.tag, tags.digest, max(tags.moved_at, coalesce(tags.pushed_at, 0)) AS pushedAtMs,
      nullif(max(coalesce(tags.used_day, 0), coalesce(manifests.used_day, 0), coalesce(
        CASE WHEN coalesce(manifests.kind, 'index') = 'index' THEN
          (SELECT max(child.used_day) FROM manifest_references JOIN manifests AS child USING (digest)
            WHERE manifest_references.manifest = tags.digest) END, 0)), 0) AS usedDay,
      held_tags.tag IS NOT NULL AS isHeld
    FROM tags LEFT JOIN manifests ON manifests.digest = tags.digest
    LEFT JOIN held_tags ON held_tags.tag = tags.tag ORDER BY tags.tag` as const;
  return Array.from(eachRow<StateRow>(sql, query), ({ tag, digest, pushedAtMs, usedDay, isHeld }) => ({
    tag,
    digest,
    pushedAtMs,
    // The day is over before it counts.
    usedAtMs: usedDay === null ? sinceMs : (usedDay + 1) * day,
    isHeld: isHeld === 1,
  }));
}

/** What is freed if some tags go: manifests that nothing reaches then, and blobs that only those reference. */
export type Freed = { manifests: Amount; blobs: Amount };

/** Computes what is freed if these tags go, and what nothing reaches then is removed. */
export function freedWithout(sql: SqlStorage, all: readonly StoredTag[], going: ReadonlySet<string>): Freed {
  const next = followers(sql);
  const kept = reach(
    all.filter(({ tag }) => !going.has(tag)).map(({ digest }) => digest),
    next,
  );
  const lost = reach(
    all.filter(({ tag }) => going.has(tag)).map(({ digest }) => digest),
    next,
  );
  const gone = [...lost].filter((digest) => !kept.has(digest));
  return { manifests: sizeOf(sql, "manifests", gone), blobs: sizeOf(sql, "blobs", blobsOfOnly(sql, gone)) };
}

/** What a manifest leads to: the manifests that it lists, and those whose subject it is. */
function followers(sql: SqlStorage): Map<string, Digest[]> {
  const query = `SELECT manifest AS one, manifests.digest AS other FROM manifest_references
      JOIN manifests USING (digest)
    UNION ALL SELECT subject AS one, digest AS other FROM manifests WHERE subject IS NOT NULL` as const;
  const next = new Map<string, Digest[]>();
  for (const { one, other } of eachRow<{ one: Digest; other: Digest }>(sql, query)) {
    const known = next.get(one);
    if (known === undefined) next.set(one, [other]);
    else known.push(other);
  }
  return next;
}

function reach(from: readonly Digest[], next: Map<string, Digest[]>): Set<Digest> {
  const reached = new Set<Digest>();
  const waiting = [...from];
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    if (reached.has(digest)) continue;
    reached.add(digest);
    waiting.push(...(next.get(digest) ?? []));
  }
  return reached;
}

/** The blobs that these manifests reference, and no other does. */
function blobsOfOnly(sql: SqlStorage, manifests: readonly Digest[]): Digest[] {
  const named = `SELECT digest, count(*) AS count FROM manifest_references
    WHERE manifest IN (SELECT value FROM json_each(?)) GROUP BY digest`;
  const counts = new Map<Digest, number>();
  const found = inPieces(manifests, (json) => readRows<{ digest: Digest; count: number }>(sql, named, json));
  for (const { digest, count } of found) counts.set(digest, (counts.get(digest) ?? 0) + count);
  const everywhere = `SELECT digest, count(*) AS count FROM manifest_references
    WHERE digest IN (SELECT value FROM json_each(?)) GROUP BY digest`;
  const all = inPieces([...counts.keys()], (json) =>
    readRows<{ digest: Digest; count: number }>(sql, everywhere, json),
  );
  return all.filter(({ digest, count }) => counts.get(digest) === count).map(({ digest }) => digest);
}

function sizeOf(sql: SqlStorage, table: "manifests" | "blobs", digests: readonly Digest[]): Amount {
  const query = `SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM ${table}
    WHERE digest IN (SELECT value FROM json_each(?))` as const;
  return sumOf(...inPieces(digests, (json) => readRows<Amount>(sql, query, json)));
}
