/**
 * How a ledger keeps manifests: rows, bytes, references and referrers.
 */
import type { Digest } from "../../oci/digest.ts";
import { annotationsOf } from "../../oci/manifest.ts";
import type { ManifestFacts, Reference } from "../../oci/manifest-fields.ts";
import type { BlobLocation, ManifestRow } from "../../storage/replica.ts";
import type { ManifestStat, Page, Referrer } from "../api.ts";
import { takeBytes } from "../take-bytes.ts";
import { inPieces } from "./in-pieces.ts";

const bytesPerRow = 1024 * 1024;

/** The most bytes of descriptors in one page of referrers: a page is an index, and those have 4 MiB. */
const referrerPageBytes = 3 * 1024 * 1024;

/** Manifests in SQL. Nothing here opens a transaction; the ledger does. */
export class ManifestStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  has(digest: string): boolean {
    return this.#sql.exec("SELECT 1 FROM manifests WHERE digest = ?", digest).toArray().length > 0;
  }

  stat(digest: string): ManifestStat | undefined {
    const [row] = this.#sql
      .exec<{ media_type: string; size: number }>(
        "SELECT media_type, size FROM manifests WHERE digest = ?",
        digest,
      )
      .toArray();
    return row && { digest: digest as Digest, mediaType: row.media_type, sizeBytes: row.size };
  }

  /** The manifest, with where the blobs are that it names and this repository links. */
  read(digest: string): ManifestRow | undefined {
    const stat = this.stat(digest);
    if (stat === undefined) return undefined;
    return {
      mediaType: stat.mediaType,
      bytes: this.bytes(digest, stat.sizeBytes),
      plan: this.#plan(digest),
    };
  }

  /** The bytes of a manifest, which may be one that was deleted and can come back. */
  bytes(digest: string, sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    let filled = 0;
    const rows = this.#sql.exec<{ bytes: ArrayBuffer }>(
      "SELECT bytes FROM manifest_bytes WHERE digest = ? ORDER BY part",
      digest,
    );
    for (const row of rows) {
      bytes.set(new Uint8Array(row.bytes), filled);
      filled += row.bytes.byteLength;
    }
    return bytes;
  }

  #plan(digest: string): BlobLocation[] {
    return this.#sql
      .exec<BlobLocation>(
        `SELECT blobs.digest, blobs.key, blobs.size AS sizeBytes
         FROM manifest_references JOIN blobs ON blobs.digest = manifest_references.digest
         WHERE manifest_references.manifest = ?`,
        digest,
      )
      .toArray();
  }

  /** Which references this repository does not have as what they are required to be. */
  missing(references: Reference[]): string[] {
    const rows = inPieces(references, (json) =>
      this.#sql
        .exec<{ digest: string }>(
          `SELECT DISTINCT value ->> 'digest' AS digest FROM json_each(?) WHERE CASE value ->> 'required'
           WHEN 'blob' THEN value ->> 'digest' NOT IN (SELECT digest FROM blobs)
           WHEN 'manifest' THEN value ->> 'digest' NOT IN (SELECT digest FROM manifests)
           WHEN 'content' THEN value ->> 'digest' NOT IN (SELECT digest FROM blobs)
             AND value ->> 'digest' NOT IN (SELECT digest FROM manifests)
         END`,
          json,
        )
        .toArray(),
    );
    return [...new Set(rows.map((row) => row.digest))];
  }

  /** Stores a manifest that is not there. */
  write(digest: string, bytes: Uint8Array, facts: ManifestFacts, now: number): void {
    this.#sql.exec(
      `INSERT INTO manifests (digest, media_type, size, artifact_type, subject, pushed_at)
       VALUES (?, ?, ?, ?, ?, ?)`,
      digest,
      facts.mediaType,
      bytes.byteLength,
      facts.artifactType ?? null,
      facts.subject ?? null,
      now,
    );
    for (let offset = 0; offset < bytes.byteLength; offset += bytesPerRow) {
      this.#sql.exec(
        "INSERT INTO manifest_bytes (digest, part, bytes) VALUES (?, ?, ?)",
        digest,
        offset / bytesPerRow,
        bytes.slice(offset, offset + bytesPerRow),
      );
    }
    this.addReferences(digest, facts.references);
  }

  /** Notes what a manifest names; returns what was not noted of it before. */
  addReferences(manifest: string, references: Reference[]): string[] {
    const digests = references.map((reference) => reference.digest);
    const add = `INSERT OR IGNORE INTO manifest_references (manifest, digest)
      SELECT ?, value FROM json_each(?) RETURNING digest`;
    const rows = inPieces(digests, (json) =>
      this.#sql.exec<{ digest: string }>(add, manifest, json).toArray(),
    );
    return rows.map((row) => row.digest);
  }

  /** Takes a manifest away, for good; returns what it referenced, and its subject. */
  delete(digest: string): string[] {
    const references = this.withdraw(digest);
    this.#sql.exec("DELETE FROM manifest_bytes WHERE digest = ?", digest);
    return references;
  }

  /** Takes a manifest away, but for its bytes; returns what it referenced, and its subject. */
  withdraw(digest: string): string[] {
    const references = this.#sql
      .exec<{ digest: string }>("DELETE FROM manifest_references WHERE manifest = ? RETURNING digest", digest)
      .toArray();
    const [row] = this.#sql
      .exec<{ subject: string | null }>("DELETE FROM manifests WHERE digest = ? RETURNING subject", digest)
      .toArray();
    const digests = references.map((reference) => reference.digest);
    return row?.subject == null ? digests : [...digests, row.subject];
  }

  /** Whether a tag, an index, or its subject being there gives somebody a way to a manifest. */
  isReached(digest: string): boolean {
    const ways = `SELECT 1 FROM tags WHERE digest = ?
      UNION ALL SELECT 1 FROM manifest_references WHERE digest = ?
      UNION ALL SELECT 1 FROM manifests JOIN manifests AS subjects ON subjects.digest = manifests.subject
        WHERE manifests.digest = ? LIMIT 1`;
    return this.#sql.exec(ways, digest, digest, digest).toArray().length > 0;
  }

  /** The digests of manifests after `last`, in order. */
  page(last: string, limit: number): string[] {
    return this.#sql
      .exec<{ digest: string }>(
        "SELECT digest FROM manifests WHERE digest > ? ORDER BY digest LIMIT ?",
        last,
        limit,
      )
      .toArray()
      .map((row) => row.digest);
  }

  /** Manifests after `last`, in the order of their digests. */
  stats(last: string, limit: number): ManifestStat[] {
    return this.#sql
      .exec<ManifestStat>(
        `SELECT digest, media_type AS mediaType, size AS sizeBytes FROM manifests
         WHERE digest > ? ORDER BY digest LIMIT ?`,
        last,
        limit,
      )
      .toArray();
  }

  /** The manifests whose subject this is. */
  withSubject(subject: string): string[] {
    return this.#sql
      .exec<{ digest: string }>("SELECT digest FROM manifests WHERE subject = ?", subject)
      .toArray()
      .map((row) => row.digest);
  }

  /** Whether a manifest of this repository names the digest, as a reference or as its subject. */
  isReferenced(digest: string): boolean {
    const naming = `SELECT 1 FROM manifest_references WHERE digest = ?
      UNION ALL SELECT 1 FROM manifests WHERE subject = ? LIMIT 1`;
    return this.#sql.exec(naming, digest, digest).toArray().length > 0;
  }

  /** The manifests that name a digest, as a reference or as their subject. */
  referencing(digest: string): string[] {
    const naming = `SELECT manifest FROM manifest_references WHERE digest = ?
      UNION SELECT digest FROM manifests WHERE subject = ?`;
    return this.#sql
      .exec<{ manifest: string }>(naming, digest, digest)
      .toArray()
      .map((row) => row.manifest);
  }

  /** A page of the manifests whose subject this is, in the order of their digests, after `last`. */
  referrers(subject: string, artifactType: string | undefined, last: string, limit: number): Page<Referrer> {
    const rows = this.#sql
      .exec<ReferrerRow>(
        `SELECT media_type, digest, size, artifact_type FROM manifests
         WHERE subject = ? AND digest > ? AND (? IS NULL OR artifact_type = ?) ORDER BY digest LIMIT ?`,
        subject,
        last,
        artifactType ?? null,
        artifactType ?? null,
        limit + 1,
      )
      .toArray();
    // An entry is never larger than its manifest.
    const page = takeBytes(rows.slice(0, limit), ({ size }) => size, referrerPageBytes);
    return { entries: page.map((row) => this.#toReferrer(row)), more: rows.length > page.length };
  }

  /** Annotations can be nearly as large as a manifest, and are not kept twice. */
  #toReferrer(row: ReferrerRow): Referrer {
    const annotations = annotationsOf(this.bytes(row.digest, row.size));
    return {
      mediaType: row.media_type,
      digest: row.digest,
      size: row.size,
      ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
      ...(annotations === undefined ? {} : { annotations }),
    };
  }
}

type ReferrerRow = { media_type: string; digest: string; size: number; artifact_type: string | null };
