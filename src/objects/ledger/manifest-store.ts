/**
 * How a ledger keeps manifests: rows, bytes, references and referrers.
 */

import type { Digest } from "../../oci/digest.ts";
import { annotationsOf } from "../../oci/manifest.ts";
import type { ManifestFacts, Reference } from "../../oci/manifest-fields.ts";
import type { BlobLocation, ManifestRow } from "../../storage/replica.ts";
import type { ManifestStat, Page, Referrer } from "../api.ts";
import { eachRow, firstRow, hasRow, inPieces, readRows, type Tx, takeBytes } from "../sql.ts";

const bytesPerRow = 1024 * 1024;

/** The most bytes of descriptors in one page of referrers: a page is an index, and those have 4 MiB. */
const referrerPageBytes = 3 * 1024 * 1024;

/** Manifests in SQL. */
export class ManifestStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  has(digest: string): boolean {
    return hasRow(this.#sql, "SELECT 1 FROM manifests WHERE digest = ?", digest);
  }

  stat(digest: string): ManifestStat | undefined {
    const row = firstRow<{ media_type: string; size: number }>(
      this.#sql,
      "SELECT media_type, size FROM manifests WHERE digest = ?",
      digest,
    );
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
    const rows = eachRow<{ bytes: ArrayBuffer }>(
      this.#sql,
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
    return readRows<BlobLocation>(
      this.#sql,
      `SELECT blobs.digest, blobs.key, blobs.size AS sizeBytes
         FROM manifest_references JOIN blobs ON blobs.digest = manifest_references.digest
         WHERE manifest_references.manifest = ?`,
      digest,
    );
  }

  /** Which references this repository does not have as what they are required to be. */
  missing(references: Reference[]): string[] {
    const rows = inPieces(references, (json) =>
      readRows<{ digest: string }>(
        this.#sql,
        `SELECT DISTINCT value ->> 'digest' AS digest FROM json_each(?) WHERE CASE value ->> 'required'
           WHEN 'blob' THEN value ->> 'digest' NOT IN (SELECT digest FROM blobs)
           WHEN 'manifest' THEN value ->> 'digest' NOT IN (SELECT digest FROM manifests)
           WHEN 'content' THEN value ->> 'digest' NOT IN (SELECT digest FROM blobs)
             AND value ->> 'digest' NOT IN (SELECT digest FROM manifests)
         END`,
        json,
      ),
    );
    return [...new Set(rows.map((row) => row.digest))];
  }

  /** Stores a manifest that is not there. */
  write(tx: Tx, digest: string, bytes: Uint8Array, facts: ManifestFacts, now: number): void {
    tx.write(
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
      tx.write(
        "INSERT INTO manifest_bytes (digest, part, bytes) VALUES (?, ?, ?)",
        digest,
        offset / bytesPerRow,
        bytes.slice(offset, offset + bytesPerRow),
      );
    }
    this.addReferences(tx, digest, facts.references);
  }

  /** Notes what a manifest names; returns what was not noted of it before. */
  addReferences(tx: Tx, manifest: string, references: Reference[]): string[] {
    const digests = references.map((reference) => reference.digest);
    const add = `INSERT OR IGNORE INTO manifest_references (manifest, digest)
      SELECT ?, value FROM json_each(?) RETURNING digest`;
    const rows = inPieces(digests, (json) => tx.write<{ digest: string }>(add, manifest, json));
    return rows.map((row) => row.digest);
  }

  /** Takes a manifest away, for good; returns what it referenced, and its subject. */
  delete(tx: Tx, digest: string): string[] {
    const references = this.withdraw(tx, digest);
    tx.write("DELETE FROM manifest_bytes WHERE digest = ?", digest);
    return references;
  }

  /** Takes a manifest away, but for its bytes; returns what it referenced, and its subject. */
  withdraw(tx: Tx, digest: string): string[] {
    const references = tx.write<{ digest: string }>(
      "DELETE FROM manifest_references WHERE manifest = ? RETURNING digest",
      digest,
    );
    const [row] = tx.write<{ subject: string | null }>(
      "DELETE FROM manifests WHERE digest = ? RETURNING subject",
      digest,
    );
    const digests = references.map((reference) => reference.digest);
    return row?.subject == null ? digests : [...digests, row.subject];
  }

  /** Whether a tag, an index, or its subject being there gives somebody a way to a manifest. */
  isReached(digest: string): boolean {
    const ways = `SELECT 1 FROM tags WHERE digest = ?
      UNION ALL SELECT 1 FROM manifest_references WHERE digest = ?
      UNION ALL SELECT 1 FROM manifests JOIN manifests AS subjects ON subjects.digest = manifests.subject
        WHERE manifests.digest = ? LIMIT 1`;
    return hasRow(this.#sql, ways, digest, digest, digest);
  }

  /** The digests of manifests after `last`, in order. */
  page(last: string, limit: number): string[] {
    return readRows<{ digest: string }>(
      this.#sql,
      "SELECT digest FROM manifests WHERE digest > ? ORDER BY digest LIMIT ?",
      last,
      limit,
    ).map((row) => row.digest);
  }

  /** Manifests after `last`, in the order of their digests. */
  stats(last: string, limit: number): ManifestStat[] {
    return readRows<ManifestStat>(
      this.#sql,
      `SELECT digest, media_type AS mediaType, size AS sizeBytes FROM manifests
         WHERE digest > ? ORDER BY digest LIMIT ?`,
      last,
      limit,
    );
  }

  /** The manifests whose subject this is. */
  withSubject(subject: string): string[] {
    return readRows<{ digest: string }>(
      this.#sql,
      "SELECT digest FROM manifests WHERE subject = ?",
      subject,
    ).map((row) => row.digest);
  }

  /** Whether a manifest of this repository names the digest, as a reference or as its subject. */
  isReferenced(digest: string): boolean {
    const naming = `SELECT 1 FROM manifest_references WHERE digest = ?
      UNION ALL SELECT 1 FROM manifests WHERE subject = ? LIMIT 1`;
    return hasRow(this.#sql, naming, digest, digest);
  }

  /** The manifests that name a digest, as a reference or as their subject. */
  referencing(digest: string): string[] {
    const naming = `SELECT manifest FROM manifest_references WHERE digest = ?
      UNION SELECT digest FROM manifests WHERE subject = ?`;
    return readRows<{ manifest: string }>(this.#sql, naming, digest, digest).map((row) => row.manifest);
  }

  /** A page of the manifests whose subject this is, in the order of their digests, after `last`. */
  referrers(subject: string, artifactType: string | undefined, last: string, limit: number): Page<Referrer> {
    const rows = readRows<ReferrerRow>(
      this.#sql,
      `SELECT media_type, digest, size, artifact_type FROM manifests
         WHERE subject = ? AND digest > ? AND (? IS NULL OR artifact_type = ?) ORDER BY digest LIMIT ?`,
      subject,
      last,
      artifactType ?? null,
      artifactType ?? null,
      limit + 1,
    );
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
