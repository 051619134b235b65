/** Lists what was deleted in a repository and can be restored: the repository itself, manifests, and tags. */
import type { Clock } from "../../clock.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import type { Deletion, DeletionPage } from "../../rpc/upkeep.ts";
import type { Settings } from "../../settings/settings.ts";
import { readRows } from "../sql.ts";
import type { Generations } from "./generations.ts";

/** What a list is read from. */
type Source = { sql: SqlStorage; clock: Clock; settings: Settings; generations: Generations };

/** How many tags of a deleted manifest a list shows. */
const maxTags = 50;

/** How many moves of tags are read for one page. */
const movesRead = 5000;

/** Where a page begins: a kind, and the last entry of it; `""`: none. */
const kinds = ["repository", "manifest", "tag"] as const;

/**
 * A page of what was deleted: first the repository, then manifests by digest, then tags, the last deleted first. `last`
 * is where the next page begins. Tags that were deleted with their manifest are listed with it.
 */
export function listDeletions(source: Source, last: string, limit: number): DeletionPage {
  const [name = "", after = ""] = last.split(" ");
  const entries: Deletion[] = [];
  for (const kind of kinds.slice(Math.max(0, kinds.indexOf(name as (typeof kinds)[number])))) {
    const left = limit - entries.length;
    if (left <= 0) return { entries, last: `${kind} ` };
    const page = pageOf(source, kind, kind === name ? after : "", left);
    entries.push(...page.entries);
    if (page.next !== undefined) return { entries, last: `${kind} ${page.next}` };
  }
  return { entries, last: undefined };
}

type KindPage = { entries: Deletion[]; next?: string | number | undefined };

function pageOf(source: Source, kind: (typeof kinds)[number], after: string, limit: number): KindPage {
  switch (kind) {
    case "repository":
      // There are few, so the first page has all of them.
      return { entries: after === "" ? repositories(source) : [] };
    case "manifest":
      return manifests(source, after, limit);
    case "tag":
      return tags(source, after === "" ? Number.MAX_SAFE_INTEGER : Number(after), limit);
  }
}

function repositories({ generations }: Source): Deletion[] {
  return generations.list().map(({ number: generation, deletedAtMs: atMs, actor, untilMs }) => {
    return { what: "repository", generation, atMs, actor, untilMs };
  });
}

type ManifestRow = {
  digest: Digest;
  sizeBytes: number;
  atMs: number | null;
  actor: string | null;
  untilMs: number;
};

function manifests({ sql, settings }: Source, after: string, limit: number): KindPage {
  const query = `SELECT deleted_manifests.digest, size AS sizeBytes, deleted_at AS atMs, actor, due.at AS untilMs
    FROM deleted_manifests JOIN due ON due.kind = 'purge' AND due.id = deleted_manifests.digest
    WHERE deleted_manifests.digest > ? ORDER BY deleted_manifests.digest LIMIT ?`;
  const ofTags = "SELECT tag FROM deleted_tags WHERE digest = ? ORDER BY tag LIMIT ?";
  const found = readRows<ManifestRow>(sql, query, after, limit);
  const entries = found.map(({ digest, sizeBytes, atMs, actor, untilMs }): Deletion => {
    const pointing = readRows<{ tag: Tag }>(sql, ofTags, digest, maxTags).map(({ tag }) => tag);
    // Earlier releases did not record who deleted a manifest, and when.
    const when = { atMs: atMs ?? untilMs - settings.gcGraceMs, actor: actor ?? "", untilMs };
    return { what: "manifest", digest, sizeBytes, tags: pointing, ...when };
  });
  return { entries, next: found.length < limit ? undefined : found.at(-1)?.digest };
}

type TagRow = { sequence: number; tag: Tag; digest: Digest; atMs: number; actor: string };

function tags({ sql, settings }: Source, before: number, limit: number): KindPage {
  const moves = `SELECT * FROM tag_history WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ${movesRead}`;
  const query = `SELECT sequence, tag, from_digest AS digest, at AS atMs, actor FROM (${moves}) AS moves
    WHERE to_digest IS NULL AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.tag = moves.tag)
      AND EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = moves.from_digest)
      AND NOT EXISTS (SELECT 1 FROM tag_history AS later
        WHERE later.tag = moves.tag AND later.sequence > moves.sequence)
    ORDER BY sequence DESC LIMIT ?2` as const;
  const found = readRows<TagRow>(sql, query, before, limit);
  const entries = found.map(({ tag, digest, atMs, actor }): Deletion => {
    return { what: "tag", tag, digest, atMs, actor, untilMs: atMs + settings.tagHistoryMs };
  });
  if (found.length === limit) return { entries, next: found.at(-1)?.sequence };
  const read = `SELECT count(*) AS count, min(sequence) AS first FROM (${moves})` as const;
  const [{ count, first } = { count: 0, first: 0 }] = readRows<{ count: number; first: number }>(
    sql,
    read,
    before,
  );
  return { entries, next: count < movesRead ? undefined : first };
}
