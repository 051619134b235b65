/** Lists and totals of a repository's contents. They are computed on request, so that pushes pay nothing for them. */

import { annotationsOf } from "../../oci/manifest.ts";
import type { AnyDigest, Digest, Tag } from "../../oci/reference.ts";
import type { ManifestEntry, Page, Referrer } from "../../rpc/api.ts";
import type { Amount, RepositoryUsage } from "../../rpc/upkeep.ts";
import { oneRow, readRows, takeBytes } from "../sql.ts";
import type { Manifests } from "./manifests.ts";

function sum(sql: SqlStorage, column: string, from: string): Amount {
  return oneRow<Amount>(sql, `SELECT count(*) AS objects, coalesce(sum(${column}), 0) AS bytes FROM ${from}`);
}

/** How much a repository holds. */
export function readUsage(sql: SqlStorage): RepositoryUsage {
  const manifests = sum(sql, "size", "manifests");
  const blobs = sum(sql, "size", "blobs");
  const linked = "manifest_references JOIN blobs ON blobs.digest = manifest_references.digest";
  const references = sum(sql, "blobs.size", linked);
  const unnamed = "blobs WHERE NOT EXISTS (SELECT 1 FROM manifest_references WHERE digest = blobs.digest)";
  const unreferenced = sum(sql, "size", unnamed);
  const tags = oneRow<{ count: number }>(sql, "SELECT count(*) AS count FROM tags").count;
  return {
    manifests: manifests.objects,
    tags,
    blobs: blobs.objects,
    blobBytes: blobs.bytes,
    logical: add(manifests, references, unreferenced),
    stored: add(manifests, blobs),
  };
}

function add(...sums: Amount[]): Amount {
  return sums.reduce((total, { objects, bytes }) => ({
    objects: total.objects + objects,
    bytes: total.bytes + bytes,
  }));
}

/** How many tags of a manifest a list shows at most: a hundred thousand may point at it. */
const maxTags = 10_000;

type Row = {
  digest: Digest;
  media_type: string;
  size: number;
  artifact_type: string | null;
  subject: string | null;
  pushed_at: number;
};

/**
 * A page of all manifests after `last`, in the order of their digests, each with the first ten thousand tags that point
 * at it. The size of a page is limited in bytes, too.
 */
export function listManifests(sql: SqlStorage, last: string, limit: number): Page<ManifestEntry> {
  const query = "SELECT * FROM manifests WHERE digest > ? ORDER BY digest LIMIT ?";
  const rows = readRows<Row>(sql, query, last, limit + 1);
  const page = takeBytes(entriesOf(sql, rows.slice(0, limit)), (entry) => JSON.stringify(entry).length);
  return { entries: page, more: rows.length > page.length };
}

function* entriesOf(sql: SqlStorage, rows: Row[]): Generator<ManifestEntry> {
  for (const row of rows) {
    const ofTags = "SELECT tag FROM tags WHERE digest = ? ORDER BY tag LIMIT ?";
    const tags = readRows<{ tag: Tag }>(sql, ofTags, row.digest, maxTags);
    yield {
      digest: row.digest,
      mediaType: row.media_type,
      sizeBytes: row.size,
      tags: tags.map(({ tag }) => tag),
      ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
      ...(row.subject === null ? {} : { subject: row.subject }),
      pushedAtMs: row.pushed_at,
    };
  }
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
