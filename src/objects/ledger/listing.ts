/** Lists and totals of a repository's contents. They are computed on request, so that pushes pay nothing for them. */

import { annotationsOf } from "../../oci/manifest.ts";
import type { AnyDigest, Digest, Tag } from "../../oci/reference.ts";
import type { Page, Referrer } from "../../rpc/api.ts";
import type { ManifestDetails, ManifestEntry, TagEntry } from "../../rpc/manifest-facts.ts";
import { firstRow, oneRow, readRows, takeBytes } from "../sql.ts";
import { type FactRow, type Listed, readFacts } from "./fact-columns.ts";
import type { Manifests } from "./manifests.ts";

/** How many tags of a manifest a list shows at most: a hundred thousand may point at it. */
const maxTags = 10_000;

/** How many indexes that list a manifest, and how many manifests of an index, are shown at most. */
const maxListed = 100;

type ManifestRow = FactRow & {
  digest: Digest;
  media_type: string;
  size: number;
  artifact_type: string | null;
  subject: string | null;
};

type TagRow = ManifestRow & {
  tag: Tag;
  moved_at: number;
  moved_by: string | null;
  tag_used_day: number | null;
};

/**
 * A page of all manifests after `last`, in the order of their digests, each with the first ten thousand tags that point
 * at it. The size of a page is limited in bytes, too.
 */
export function listManifests(sql: SqlStorage, last: string, limit: number): Page<ManifestEntry> {
  return pageOf(sql, "true", last, limit);
}

/** A page of the manifests that no tag, index or subject leads to; see {@link listManifests}. */
export function listUntagged(sql: SqlStorage, last: string, limit: number): Page<ManifestEntry> {
  const isUntagged = `digest NOT IN (SELECT digest FROM tags)
    AND digest NOT IN (SELECT digest FROM manifest_references)
    AND (subject IS NULL OR subject NOT IN (SELECT digest FROM manifests))`;
  return pageOf(sql, isUntagged, last, limit);
}

function pageOf(sql: SqlStorage, condition: string, last: string, limit: number): Page<ManifestEntry> {
  const query = `SELECT * FROM manifests WHERE digest > ? AND ${condition} ORDER BY digest LIMIT ?` as const;
  const rows = readRows<ManifestRow>(sql, query, last, limit + 1);
  const entries = entriesOf(rows.slice(0, limit), (row) => manifestEntry(sql, row));
  return { entries, more: rows.length > entries.length };
}

/**
 * A manifest with the first ten thousand tags that point at it, the first hundred indexes that list it, and the first
 * hundred manifests that it lists itself.
 */
export function findManifest(sql: SqlStorage, digest: Digest): ManifestDetails | undefined {
  const row = findRow(sql, digest);
  if (row === undefined) return undefined;
  const listing = "SELECT manifest FROM manifest_references WHERE digest = ? LIMIT ?";
  const indexes = readRows<{ manifest: Digest }>(sql, listing, digest, maxListed);
  return {
    ...manifestEntry(sql, row),
    indexes: indexes.map(({ manifest }) => manifest),
    manifests: row.kind === "index" ? manifestsOf(sql, digest) : [],
  };
}

/** A manifest without what leads to it: where several are shown, their tags are not. */
export function findListed(sql: SqlStorage, digest: Digest): Omit<ManifestEntry, "tags"> | undefined {
  const row = findRow(sql, digest);
  return row && describe(sql, row);
}

function findRow(sql: SqlStorage, digest: Digest): ManifestRow | undefined {
  return firstRow<ManifestRow>(sql, "SELECT * FROM manifests WHERE digest = ?", digest);
}

function manifestsOf(sql: SqlStorage, index: Digest): Omit<ManifestEntry, "tags">[] {
  const listed = `SELECT manifests.* FROM manifest_references JOIN manifests ON manifests.digest = manifest_references.digest
    WHERE manifest_references.manifest = ? LIMIT ?`;
  return entriesOf(readRows<ManifestRow>(sql, listed, index, maxListed), (row) => describe(sql, row));
}

const tagQuery =
  `SELECT tags.tag, tags.moved_at, tags.used_day AS tag_used_day, tag_history.actor AS moved_by, manifests.*
  FROM tags JOIN manifests ON manifests.digest = tags.digest
  LEFT JOIN tag_history ON tag_history.sequence = tags.sequence` as const;

/** A page of tags after `last`, in ASCII order, with what is known of their manifests. */
export function listTags(sql: SqlStorage, last: string, limit: number): Page<TagEntry> {
  const query = `${tagQuery} WHERE tags.tag > ? ORDER BY tags.tag LIMIT ?` as const;
  const rows = readRows<TagRow>(sql, query, last, limit + 1);
  const entries = entriesOf(rows.slice(0, limit), (row) => tagEntry(sql, row));
  return { entries, more: rows.length > entries.length };
}

/** A tag with what is known of its manifest. */
export function findTag(sql: SqlStorage, tag: Tag): TagEntry | undefined {
  const row = firstRow<TagRow>(sql, `${tagQuery} WHERE tags.tag = ?`, tag);
  return row && tagEntry(sql, row);
}

/**
 * Entries of a page, limited in bytes. An index weighs as much as its manifest, as all that it lists is looked at.
 */
function entriesOf<Row extends ManifestRow, Entry>(rows: Row[], toEntry: (row: Row) => Entry): Entry[] {
  const found = function* () {
    for (const row of rows) yield { entry: toEntry(row), row };
  };
  const weigh = ({ entry, row }: { entry: Entry; row: Row }) =>
    JSON.stringify(entry).length + (row.kind === "index" ? row.size : 0);
  return takeBytes(found(), weigh).map(({ entry }) => entry);
}

function manifestEntry(sql: SqlStorage, row: ManifestRow): ManifestEntry {
  const ofTags = "SELECT tag FROM tags WHERE digest = ? ORDER BY tag LIMIT ?";
  const tags = readRows<{ tag: Tag }>(sql, ofTags, row.digest, maxTags);
  return { ...describe(sql, row), tags: tags.map(({ tag }) => tag) };
}

function tagEntry(sql: SqlStorage, row: TagRow): TagEntry {
  const { tag_used_day, used_day, ...rest } = row;
  const used = Math.max(tag_used_day ?? 0, used_day ?? 0);
  return {
    tag: row.tag,
    ...describe(sql, { ...rest, used_day: used === 0 ? null : used }),
    updatedAtMs: row.moved_at,
    ...(row.moved_by === null ? {} : { updatedBy: row.moved_by }),
  };
}

function describe(sql: SqlStorage, row: ManifestRow): Omit<ManifestEntry, "tags"> {
  const listed = row.kind === "index" ? listedBy(sql, row.digest) : { bytes: 0, used_day: null };
  return {
    digest: row.digest,
    mediaType: row.media_type,
    sizeBytes: row.size,
    ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
    ...(row.subject === null ? {} : { subject: row.subject }),
    ...readFacts(row, listed),
  };
}

function listedBy(sql: SqlStorage, index: Digest): Listed {
  const query = `SELECT total(manifests.content_size) AS bytes, max(manifests.used_day) AS used_day
    FROM manifest_references JOIN manifests ON manifests.digest = manifest_references.digest
    WHERE manifest_references.manifest = ?`;
  return oneRow<Listed>(sql, query, index);
}

/** The most bytes of descriptors in one page of referrers. A page is an index, and clients accept 4 MiB of that. */
const referrerPageBytes = 3 * 1024 * 1024;

type ReferrerRow = { media_type: string; digest: Digest; size: number; artifact_type: string | null };

/** A page of the manifests with a subject, of one artifact type or any, after `last`, in the order of their digests. */
export function listReferrers(
  sql: SqlStorage,
  manifests: Manifests,
  subject: AnyDigest,
  artifactType: string | undefined,
  last: string,
  limit: number,
): Page<Referrer> {
  const query = `SELECT media_type, digest, size, artifact_type FROM manifests
    WHERE subject = ?1 AND digest > ?2 AND (?3 IS NULL OR artifact_type = ?3) ORDER BY digest LIMIT ?4`;
  const found = readRows<ReferrerRow>(sql, query, subject, last, artifactType ?? null, limit + 1);
  // A descriptor is never larger than its manifest.
  const page = takeBytes(found.slice(0, limit), ({ size }) => size, referrerPageBytes);
  return { entries: page.map((row) => toReferrer(row, manifests)), more: found.length > page.length };
}

/** Annotations are read from the manifest. They can be nearly as large as it, so they are not stored twice. */
function toReferrer(row: ReferrerRow, manifests: Manifests): Referrer {
  const annotations = annotationsOf(manifests.bytes(row.digest, row.size));
  return {
    mediaType: row.media_type,
    digest: row.digest,
    size: row.size,
    ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}
