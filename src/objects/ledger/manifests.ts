/**
 * Manifests: rows, bytes, and what they reference.
 */

import { type Failure, failure, type Result } from "../../oci/errors.ts";
import { describeReferences } from "../../oci/manifest.ts";
import type { Reference } from "../../oci/manifest-fields.ts";
import { refuseChange } from "../../oci/preconditions.ts";
import type { AnyDigest, Digest } from "../../oci/reference.ts";
import type { ManifestStat } from "../../rpc/api.ts";
import type { NewManifest } from "../../rpc/ledger-writes.ts";
import type { BlobLocation, ManifestRow, ReplicaKey, ReplicaValue } from "../../storage/replica.ts";
import { eachRow, firstRow, hasRow, inPieces, readRows, type Tx } from "../sql.ts";
import type { Blobs } from "./blobs.ts";
import type { EventLog } from "./events.ts";
import { factColumns, factsOf } from "./fact-columns.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Outbox } from "./outbox.ts";
import type { Tags } from "./tags.ts";
import type { Untagged } from "./untagged.ts";

const bytesPerRow = 1024 * 1024;

const addManifest = `INSERT INTO manifests
  (digest, media_type, size, artifact_type, subject, pushed_at, pushed_by, ${factColumns.join(", ")})
  VALUES (?, ?, ?, ?, ?, ?, ?, ${factColumns.map(() => "?").join(", ")})`;

/** The manifests. */
export class Manifests implements Feature {
  readonly tables = {
    manifests: { key: ["digest"], comesBack: "with its manifest" },
    manifest_bytes: { key: ["digest", "part"], comesBack: "with its manifest", rowsAtOnce: 64 },
    manifest_references: { key: ["manifest", "digest"], comesBack: "with its manifest" },
  } as const;

  readonly steps = {
    1: `
  -- Bytes lie apart, in rows of at most 1 MiB: a row holds 2 MB.
  CREATE TABLE IF NOT EXISTS manifests (
    digest TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    artifact_type TEXT,
    subject TEXT,
    pushed_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS manifests_by_subject ON manifests (subject, digest) WHERE subject IS NOT NULL;
  CREATE TABLE IF NOT EXISTS manifest_bytes (
    digest TEXT NOT NULL,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (digest, part)
  );

  -- What each manifest names: blobs, and manifests of an index. The subject is not among them.
  CREATE TABLE IF NOT EXISTS manifest_references (
    manifest TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (manifest, digest)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS references_by_digest ON manifest_references (digest);
`,
  };

  readonly jobs = {};

  readonly #host: LedgerHost;
  readonly #blobs: Blobs;
  readonly #tags: Tags;
  readonly #outbox: Outbox;
  readonly #events: EventLog;
  readonly #untagged: Untagged;

  constructor(
    host: LedgerHost,
    features: { blobs: Blobs; tags: Tags; outbox: Outbox; events: EventLog; untagged: Untagged },
  ) {
    this.#host = host;
    this.#blobs = features.blobs;
    this.#tags = features.tags;
    this.#outbox = features.outbox;
    this.#events = features.events;
    this.#untagged = features.untagged;
    features.outbox.readValue = (key) => this.replicaValue(key);
  }

  // ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────

  has(digest: Digest): boolean {
    return hasRow(this.#host.sql, "SELECT 1 FROM manifests WHERE digest = ?", digest);
  }

  stat(digest: Digest): ManifestStat | undefined {
    const query = "SELECT digest, media_type AS mediaType, size AS sizeBytes FROM manifests WHERE digest = ?";
    return firstRow<ManifestStat>(this.#host.sql, query, digest);
  }

  /** The manifest, with the locations of the linked blobs that it references. */
  read(digest: Digest): ManifestRow | undefined {
    const stat = this.stat(digest);
    if (stat === undefined) return undefined;
    const { mediaType, sizeBytes } = stat;
    return { mediaType, bytes: this.bytes(digest, sizeBytes), plan: this.#plan(digest) };
  }

  /** The bytes of a manifest, also of a deleted one that can be restored. */
  bytes(digest: Digest, sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    let filled = 0;
    const query = "SELECT bytes FROM manifest_bytes WHERE digest = ? ORDER BY part";
    for (const row of eachRow<{ bytes: ArrayBuffer }>(this.#host.sql, query, digest)) {
      bytes.set(new Uint8Array(row.bytes), filled);
      filled += row.bytes.byteLength;
    }
    return bytes;
  }

  #plan(digest: Digest): BlobLocation[] {
    const query = `SELECT blobs.digest, blobs.key, blobs.size AS sizeBytes
      FROM manifest_references JOIN blobs ON blobs.digest = manifest_references.digest
      WHERE manifest_references.manifest = ?`;
    return readRows<BlobLocation>(this.#host.sql, query, digest);
  }

  /** Manifests after `last`, in the order of their digests. */
  page(last: string, limit: number): ManifestStat[] {
    const query = `SELECT digest, media_type AS mediaType, size AS sizeBytes FROM manifests
      WHERE digest > ? ORDER BY digest LIMIT ?`;
    return readRows<ManifestStat>(this.#host.sql, query, last, limit);
  }

  /** The row that KV should have now for a manifest, tag or blob; `undefined` if it should have none. */
  replicaValue(key: ReplicaKey): ReplicaValue | undefined {
    switch (key.kind) {
      case "manifest": {
        const row = this.read(key.digest);
        return row && { kind: "manifest", row };
      }
      case "tag": {
        const row = this.#tags.read(key.tag);
        return row && { kind: "tag", row };
      }
      case "blob": {
        // Only what a manifest references is replicated.
        const link = this.#blobs.read(key.digest);
        if (link === undefined || !link.isReplicated) return undefined;
        const { digest, key: location, sizeBytes } = link;
        return { kind: "blob", row: { digest, key: location, sizeBytes } };
      }
    }
  }

  /** References that are absent, or present as the wrong kind. */
  missing(references: Reference[]): AnyDigest[] {
    const query = `SELECT DISTINCT value ->> 'digest' AS digest FROM json_each(?) WHERE CASE value ->> 'required'
        WHEN 'blob' THEN value ->> 'digest' NOT IN (SELECT digest FROM blobs)
        WHEN 'manifest' THEN value ->> 'digest' NOT IN (SELECT digest FROM manifests)
        WHEN 'content' THEN value ->> 'digest' NOT IN (SELECT digest FROM blobs)
          AND value ->> 'digest' NOT IN (SELECT digest FROM manifests)
      END`;
    const found = inPieces(references, (json) =>
      readRows<{ digest: AnyDigest }>(this.#host.sql, query, json),
    );
    return [...new Set(found.map(({ digest }) => digest))];
  }

  // ── Storing ──────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Stores a manifest and points tags at it. `onAccepted` is called once no reference is missing, before anything is
   * written. Error: `MANIFEST_BLOB_UNKNOWN`, with all missing references; nothing is changed then.
   */
  store(tx: Tx, put: NewManifest, onAccepted = () => {}): Result {
    const { digest, facts, tags, origin } = put;
    // The same bytes may have been pushed with another media type, and so had other references.
    const isKnown = this.stat(digest)?.mediaType === facts.mediaType;
    // Checked even if the manifest is stored: other rules may have applied then, or its children may be deleted.
    const missing = put.sparse ? [] : this.missing(facts.references);
    if (missing.length > 0) return missingFailure(missing);
    onAccepted();
    const referenced = facts.references.map((reference) => reference.digest);
    const newlyReplicated = this.#blobs.reference(tx, referenced);
    for (const blob of newlyReplicated) this.#outbox.mark(tx, { kind: "blob", digest: blob });
    if (!isKnown) this.#replace(tx, put);
    if (!isKnown) this.#host.announceSoon(tx);
    if (!isKnown || newlyReplicated.length > 0) this.#outbox.mark(tx, { kind: "manifest", digest });
    // A repeated PUT must not consume a pending use: it was counted the first time.
    if (!isKnown) this.#blobs.pending.fulfil(referenced);
    this.#recordPush(tx, put);
    for (const tag of tags) this.#tags.move(tx, tag, digest, origin);
    // A tagged manifest is reachable.
    if (tags.length === 0) this.#untagged.removeLater(tx, [digest]);
    return { ok: true };
  }

  #replace(tx: Tx, put: NewManifest): void {
    const { digest } = put;
    forgetDeletion(tx, digest);
    const referencedBefore = this.withdraw(tx, digest);
    deleteBytes(tx, digest);
    this.#write(tx, put);
    if (referencedBefore.length > 0) this.#blobs.releaseUnnamed(tx, referencedBefore);
  }

  #write(tx: Tx, { digest, bytes, facts, origin }: NewManifest): void {
    const { mediaType, artifactType = null, subject = null } = facts;
    const pushed = [this.#host.clock.now(), origin.actor];
    const row = [digest, mediaType, bytes.byteLength, artifactType, subject, ...pushed];
    tx.write(addManifest, ...row, ...factsOf(bytes, mediaType));
    for (let offset = 0; offset < bytes.byteLength; offset += bytesPerRow) {
      const part = bytes.slice(offset, offset + bytesPerRow);
      const addPart = "INSERT INTO manifest_bytes (digest, part, bytes) VALUES (?, ?, ?)";
      tx.write(addPart, digest, offset / bytesPerRow, part);
    }
    this.addReferences(tx, digest, facts.references);
  }

  /** Adds the references of a manifest; returns those that are new. */
  addReferences(tx: Tx, manifest: Digest, references: Reference[]): AnyDigest[] {
    const digests = references.map((reference) => reference.digest);
    const add = `INSERT OR IGNORE INTO manifest_references (manifest, digest)
      SELECT ?, value FROM json_each(?) RETURNING digest`;
    const added = inPieces(digests, (json) => tx.write<{ digest: AnyDigest }>(add, manifest, json));
    return added.map(({ digest }) => digest);
  }

  /** Emits one event per tag, even if nothing changed: a repeated push may be meant to trigger another deployment. */
  #recordPush(tx: Tx, { digest, bytes, facts, tags, origin, isFetched }: NewManifest): void {
    const { mediaType } = facts;
    const type = isFetched === true ? "upstream.fetch" : "manifest.push";
    const references = describeReferences(bytes, mediaType);
    const target = { digest, mediaType, sizeBytes: bytes.byteLength, references };
    for (const tag of tags) this.#events.record(tx, type, origin, { ...target, tag });
    if (tags.length === 0) this.#events.record(tx, type, origin, target);
  }

  /** Deletes a manifest but not its bytes; returns its references and its subject. */
  withdraw(tx: Tx, digest: Digest): AnyDigest[] {
    this.#host.announceSoon(tx);
    const ofReferences = "DELETE FROM manifest_references WHERE manifest = ? RETURNING digest";
    const references = tx.write<{ digest: AnyDigest }>(ofReferences, digest);
    const ofManifest = "DELETE FROM manifests WHERE digest = ? RETURNING subject";
    const [manifest] = tx.write<{ subject: AnyDigest | null }>(ofManifest, digest);
    const digests = references.map((reference) => reference.digest);
    return manifest?.subject == null ? digests : [...digests, manifest.subject];
  }
}

function missingFailure(digests: AnyDigest[]): Failure {
  return failure(
    "MANIFEST_BLOB_UNKNOWN",
    digests.map((digest) => ({ digest })),
  );
}

/** Why a ledger that has nothing yet refuses a manifest. Error: `MANIFEST_BLOB_UNKNOWN`. */
export function refusalByNewLedger({ facts, sparse, precondition }: NewManifest): Failure | undefined {
  const refused = refuseChange(precondition, undefined);
  if (refused !== undefined) return refused;
  const required = sparse ? [] : facts.references.filter((reference) => reference.required !== undefined);
  if (required.length === 0) return undefined;
  return missingFailure([...new Set(required.map(({ digest }) => digest))]);
}

/** Deletes the bytes of a manifest. */
export function deleteBytes(tx: Tx, digest: Digest): void {
  tx.write("DELETE FROM manifest_bytes WHERE digest = ?", digest);
}

/**
 * Removes a manifest from the deleted ones (deleted-manifests.ts): it exists again, or can no longer be restored. Its
 * bytes are left. Returns whether it was among them.
 */
export function forgetDeletion(tx: Tx, digest: Digest): boolean {
  tx.write("DELETE FROM deleted_tags WHERE digest = ?", digest);
  return tx.write("DELETE FROM deleted_manifests WHERE digest = ? RETURNING digest", digest).length > 0;
}
