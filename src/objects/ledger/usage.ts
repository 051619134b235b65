/**
 * What a ledger tells of what its repository holds. Summed up when somebody asks: a push pays nothing for it.
 */

import type { Digest } from "../../oci/digest.ts";
import type { ManifestEntry, Page } from "../api.ts";
import { eachRow, oneRow, readRows, takeBytes } from "../sql.ts";
import type { Amount, RepositoryUsage } from "../upkeep.ts";

function sum(sql: SqlStorage, column: string, from: string): Amount {
  return oneRow<Amount>(sql, `SELECT count(*) AS objects, coalesce(sum(${column}), 0) AS bytes FROM ${from}`);
}

/** How much a repository holds. */
export function readUsage(sql: SqlStorage): RepositoryUsage {
  const manifests = sum(sql, "size", "manifests");
  const blobs = sum(sql, "size", "blobs");
  const references = sum(
    sql,
    "blobs.size",
    "manifest_references JOIN blobs ON blobs.digest = manifest_references.digest",
  );
  const unreferenced = sum(
    sql,
    "size",
    "blobs WHERE NOT EXISTS (SELECT 1 FROM manifest_references WHERE digest = blobs.digest)",
  );
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

/** How many tags of a manifest a list names: what points at it may be a hundred thousand. */
const mostTags = 10_000;

type Row = {
  digest: Digest;
  media_type: string;
  size: number;
  artifact_type: string | null;
  subject: string | null;
  pushed_at: number;
};

/**
 * A page of all manifests after `last`, in the order of their digests, with the tags that point at each, the first
 * ten thousand of them. A page ends by its bytes too.
 */
export function listManifests(sql: SqlStorage, last: string, limit: number): Page<ManifestEntry> {
  const rows = readRows<Row>(
    sql,
    "SELECT * FROM manifests WHERE digest > ? ORDER BY digest LIMIT ?",
    last,
    limit + 1,
  );
  const page = takeBytes(entriesOf(sql, rows.slice(0, limit)), (entry) => JSON.stringify(entry).length);
  return { entries: page, more: rows.length > page.length };
}

function* entriesOf(sql: SqlStorage, rows: Row[]): Generator<ManifestEntry> {
  for (const row of rows) {
    const tags = eachRow<{ tag: string }>(
      sql,
      "SELECT tag FROM tags WHERE digest = ? ORDER BY tag LIMIT ?",
      row.digest,
      mostTags,
    );
    yield {
      digest: row.digest,
      mediaType: row.media_type,
      sizeBytes: row.size,
      tags: Array.from(tags, ({ tag }) => tag),
      ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
      ...(row.subject === null ? {} : { subject: row.subject }),
      pushedAtMs: row.pushed_at,
    };
  }
}
