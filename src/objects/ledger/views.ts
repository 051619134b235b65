/** What pages about a repository show. It is computed on request, so that pushes pay nothing for it. */
import { readManifestContent } from "../../oci/manifest-content.ts";
import type { ContentKind } from "../../oci/manifest-summary.ts";
import { type Digest, hexOf, parseDigest, type Tag } from "../../oci/reference.ts";
import { sortByVersion } from "../../oci/version-order.ts";
import type { Page } from "../../rpc/api.ts";
import type {
  CountedTag,
  ManifestView,
  NamedMove,
  ReferrerCounts,
  ReferrerView,
  RepositorySummary,
  TagsWanted,
} from "../../rpc/ledger-views.ts";
import type { ManifestEntry } from "../../rpc/manifest-facts.ts";
import { firstRow, hasRow, oneRow, readRows, takeBytes } from "../sql.ts";
import { findManifest, findTag, readUsage } from "./listing.ts";
import type { Manifests } from "./manifests.ts";

/** The tags under which cosign stores signatures and attestations: `sha256-<hex>.sig`. */
const madeByCosign = "sha256-*.*";

const maxKinds = 10;
const maxPlatforms = 50;

/** A repository in numbers. */
export function summarise(sql: SqlStorage): RepositorySummary {
  const { manifests, logical, stored } = readUsage(sql);
  const tags = oneRow<{ count: number }>(
    sql,
    `SELECT count(*) AS count FROM tags WHERE tag NOT GLOB '${madeByCosign}'`,
  );
  const last = firstRow<{ pushed_at: number; pushed_by: string | null }>(
    sql,
    "SELECT pushed_at, pushed_by FROM manifests ORDER BY pushed_at DESC LIMIT 1",
  );
  const kinds = readRows<{ kind: ContentKind }>(
    sql,
    `SELECT DISTINCT kind FROM tags JOIN manifests ON manifests.digest = tags.digest
     WHERE kind IS NOT NULL AND tags.tag NOT GLOB '${madeByCosign}' ORDER BY kind LIMIT ?`,
    maxKinds,
  );
  const platforms = readRows<{ platform: string }>(
    sql,
    `SELECT DISTINCT json_each.value AS platform FROM tags
     JOIN manifests ON manifests.digest = tags.digest, json_each(manifests.platforms)
     ORDER BY platform LIMIT ?`,
    maxPlatforms,
  );
  return {
    tags: tags.count,
    manifests,
    logical,
    stored,
    ...(last === undefined ? {} : { pushedAtMs: last.pushed_at }),
    ...(last?.pushed_by == null ? {} : { pushedBy: last.pushed_by }),
    kinds: kinds.map(({ kind }) => kind),
    platforms: platforms.map(({ platform }) => platform),
  };
}

// ── Tags ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Larger repositories list their tags by name, as sorting them by version would keep the ledger busy. */
const maxSorted = 20_000;

const orders = {
  name: "tags.tag",
  pushed: "tags.moved_at DESC, tags.tag",
  used: "max(coalesce(tags.used_day, 0), coalesce(manifests.used_day, 0)) DESC, tags.tag",
  size: `coalesce(content_size, 0) + (SELECT total(listed.content_size) FROM manifest_references
    JOIN manifests AS listed ON listed.digest = manifest_references.digest
    WHERE manifest_references.manifest = manifests.digest) DESC, tags.tag`,
} as const;

/** A page of tags with what refers to their manifests. Tags that cosign made for its own manifests are left out. */
export function findTags(
  sql: SqlStorage,
  { query, order, offset, limit }: TagsWanted,
): { entries: CountedTag[]; next: number | undefined } {
  const found = sortedTags(sql, query, order, offset, limit);
  const entries = found.slice(0, limit).flatMap((tag) => {
    const entry = findTag(sql, tag);
    return entry === undefined ? [] : [{ ...entry, referrers: countReferrers(sql, entry.digest) }];
  });
  const page = takeBytes(entries, (entry) => JSON.stringify(entry).length);
  const hasMore = found.length > limit || page.length < entries.length;
  return { entries: page, next: hasMore ? offset + page.length : undefined };
}

/** The tags of a page, and the one after it. */
function sortedTags(
  sql: SqlStorage,
  query: string,
  order: TagsWanted["order"],
  offset: number,
  limit: number,
): Tag[] {
  const matching = `FROM tags JOIN manifests ON manifests.digest = tags.digest
    WHERE (?1 = '' OR instr(lower(tags.tag), ?1) > 0) AND tags.tag NOT GLOB '${madeByCosign}'` as const;
  const wanted = query.toLowerCase();
  if (order === "version") {
    const all = readRows<{ tag: Tag }>(sql, `SELECT tags.tag ${matching} LIMIT ?2`, wanted, maxSorted + 1);
    if (all.length <= maxSorted) {
      return sortByVersion(all.map(({ tag }) => tag)).slice(offset, offset + limit + 1);
    }
  }
  const by = orders[order === "version" ? "name" : order];
  const rows = readRows<{ tag: Tag }>(
    sql,
    `SELECT tags.tag ${matching} ORDER BY ${by} LIMIT ?2 OFFSET ?3`,
    wanted,
    limit + 1,
    offset,
  );
  return rows.map(({ tag }) => tag);
}

/** What such tags end with. */
const cosignSuffixes = ["sig", "att", "sbom"];

function countReferrers(sql: SqlStorage, digest: Digest): ReferrerCounts {
  const rows = readRows<{ kind: ContentKind | null; count: number }>(
    sql,
    `SELECT kind, count(*) AS count FROM manifests WHERE digest IN (
       SELECT digest FROM manifests WHERE subject = ?1
       UNION SELECT manifest_references.digest FROM manifest_references WHERE manifest = ?1
       UNION SELECT digest FROM tags WHERE tag IN (SELECT value FROM json_each(?2)))
     AND kind IN ('signature', 'sbom', 'attestation', 'artifact') GROUP BY kind`,
    digest,
    JSON.stringify(cosignTags(digest)),
  );
  return Object.fromEntries(rows.map(({ kind, count }) => [kind, count]));
}

function cosignTags(digest: Digest): string[] {
  return cosignSuffixes.map((suffix) => `sha256-${hexOf(digest)}.${suffix}`);
}

// ── A manifest ───────────────────────────────────────────────────────────────────────────────────────────────────

/** The largest manifest that a page shows as text, in bytes. */
const maxTextBytes = 256 * 1024;

/** How many referrers of one manifest are shown, and how deep, as a signature may be signed itself. */
const maxReferrers = 100;
const maxDepth = 3;

/** A manifest as a page shows it; `undefined` if the repository does not have it. */
export function viewManifest(
  sql: SqlStorage,
  manifests: Manifests,
  digest: Digest,
): ManifestView | undefined {
  const manifest = findManifest(sql, digest);
  if (manifest === undefined) return undefined;
  const bytes = manifests.bytes(digest, manifest.sizeBytes);
  const { annotations, layers, manifests: listed } = readManifestContent(bytes);
  const children = listed.map((child) => {
    const digestOfChild = parseDigest(child.digest);
    const known = digestOfChild === undefined ? undefined : findManifest(sql, digestOfChild);
    return known === undefined ? child : { ...child, manifest: withoutTags(known) };
  });
  const isShown = manifest.sizeBytes <= maxTextBytes;
  return {
    manifest,
    annotations,
    layers,
    children,
    referrers: findReferrers(sql, manifests, digest, maxDepth),
    ...(isShown ? { text: new TextDecoder().decode(bytes) } : {}),
  };
}

function withoutTags({ tags: _, ...entry }: ManifestEntry): Omit<ManifestEntry, "tags"> {
  return entry;
}

type Found = { digest: Digest; by: ReferrerView["by"]; tag: Tag | null };

function findReferrers(sql: SqlStorage, manifests: Manifests, digest: Digest, depth: number): ReferrerView[] {
  if (depth === 0) return [];
  const rows = readRows<Found>(
    sql,
    `SELECT digest, 'subject' AS "by", NULL AS tag FROM manifests WHERE subject = ?1
     UNION ALL SELECT digest, 'tag', tag FROM tags WHERE tag IN (SELECT value FROM json_each(?2))
     UNION ALL SELECT other.digest, 'index', NULL FROM manifest_references AS one
       JOIN manifest_references AS other ON other.manifest = one.manifest
       JOIN manifests ON manifests.digest = other.digest
       WHERE one.digest = ?1 AND other.digest != ?1 AND manifests.kind IN ('attestation', 'sbom')
     LIMIT ?3`,
    digest,
    JSON.stringify(cosignTags(digest)),
    maxReferrers,
  );
  return rows.flatMap(({ digest: referrer, by, tag }) => {
    const entry = findManifest(sql, referrer);
    if (entry === undefined) return [];
    const content = readManifestContent(manifests.bytes(referrer, entry.sizeBytes));
    if (by === "index" && !isAbout(sql, manifests, entry.indexes, referrer, digest)) return [];
    const { annotations, layers } = content;
    const { indexes: _, ...known } = entry;
    return [
      {
        ...withoutTags(known),
        by,
        ...(tag === null ? {} : { tag }),
        annotations,
        layers,
        referrers: findReferrers(sql, manifests, referrer, depth - 1),
      },
    ];
  });
}

/** Whether an index says that an attestation in it is about this manifest. Source: BuildKit, "Attestation storage". */
function isAbout(
  sql: SqlStorage,
  manifests: Manifests,
  indexes: Digest[],
  attestation: Digest,
  subject: Digest,
): boolean {
  return indexes.some((index) => {
    const stat = manifests.stat(index);
    const isListing =
      stat !== undefined &&
      hasRow(sql, "SELECT 1 FROM manifest_references WHERE manifest = ? AND digest = ?", index, subject);
    if (!isListing) return false;
    const { manifests: listed } = readManifestContent(manifests.bytes(index, stat.sizeBytes));
    return listed.some(
      ({ digest, annotations }) =>
        digest === attestation && annotations["vnd.docker.reference.digest"] === subject,
    );
  });
}

// ── History and what is left over ────────────────────────────────────────────────────────────────────────────────

/** A page of the moves of all tags, newest first. */
export function listMoves(sql: SqlStorage, before: number, limit: number): Page<NamedMove> {
  const query = `SELECT tag, sequence, from_digest AS "from", to_digest AS "to", at AS atMs, actor FROM tag_history
    WHERE sequence < ? ORDER BY sequence DESC LIMIT ?`;
  const moves = readRows<NamedMove>(sql, query, before, limit + 1);
  return { entries: moves.slice(0, limit), more: moves.length > limit };
}

/** A page of the manifests that no tag, index or subject leads to. */
export function listUntagged(sql: SqlStorage, last: string, limit: number): Page<ManifestEntry> {
  const query = `SELECT digest FROM manifests WHERE digest > ? AND digest NOT IN (SELECT digest FROM tags)
    AND digest NOT IN (SELECT digest FROM manifest_references)
    AND (subject IS NULL OR subject NOT IN (SELECT digest FROM manifests)) ORDER BY digest LIMIT ?`;
  const rows = readRows<{ digest: Digest }>(sql, query, last, limit + 1);
  const entries = rows.slice(0, limit).flatMap(({ digest }) => findManifest(sql, digest) ?? []);
  const page = takeBytes(entries, (entry) => JSON.stringify(entry).length);
  return { entries: page, more: rows.length > page.length };
}
