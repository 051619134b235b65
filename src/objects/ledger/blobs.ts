/**
 * The blobs that may be read through a repository: links to the location of their bytes.
 *
 * A link that no manifest references is removed after the grace time (unlinking.ts). A client that pushed a blob, or
 * was told that it exists, has that time to push the manifest that references it.
 */
import type { Clock } from "../../clock.ts";
import type { Origin } from "../../oci/event.ts";
import type { AnyDigest, Digest, RepositoryName } from "../../oci/reference.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { firstRow, hasRow, inPieces, readRows, type Tx, transaction } from "../sql.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Outbox } from "./outbox.ts";

/** A linked blob. `renewedAtMs`: when a client that may still rely on it was last told that it exists. */
export type BlobLink = BlobLocation & { renewedAtMs: number; isReplicated: boolean };

type BlobRow = { digest: Digest; key: string; size: number; renewed_at: number; replicated: number };

/** The links, and the pending uses of them. */
export class Blobs implements Feature {
  readonly tables = { blobs: { key: ["digest"], comesBack: "by itself" } } as const;

  readonly steps = {
    1: `
  -- The blobs that may be read through this repository. replicated: its row is in KV, or is going there.
  CREATE TABLE IF NOT EXISTS blobs (
    digest TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    replicated INTEGER NOT NULL DEFAULT 0
  ) WITHOUT ROWID;
`,
    // The time to unlink moves from a row in `due` for each blob to a column.
    7: `
  ALTER TABLE blobs ADD COLUMN unlink_at INTEGER;
  UPDATE blobs SET unlink_at = due.at FROM due WHERE due.kind = 'unlink' AND due.id = blobs.digest;
  CREATE INDEX blobs_to_unlink ON blobs (unlink_at) WHERE unlink_at IS NOT NULL;
  DELETE FROM due WHERE kind = 'unlink';
`,
  };

  readonly jobs = {};

  readonly #host: LedgerHost;
  readonly #outbox: Outbox;
  readonly #events: EventLog;
  readonly pending: PendingUses;

  constructor(host: LedgerHost, outbox: Outbox, events: EventLog) {
    this.#host = host;
    this.#outbox = outbox;
    this.#events = events;
    this.pending = new PendingUses(host.clock, host.settings.leaseMs);
  }

  read(digest: Digest): BlobLink | undefined {
    const row = firstRow<BlobRow>(this.#host.sql, "SELECT * FROM blobs WHERE digest = ?", digest);
    if (row === undefined) return undefined;
    const { key, size: sizeBytes, renewed_at: renewedAtMs } = row;
    return { digest: row.digest, key, sizeBytes, renewedAtMs, isReplicated: row.replicated === 1 };
  }

  /** The location of a linked blob. */
  location(digest: Digest): BlobLocation | undefined {
    const query = "SELECT digest, key, size AS sizeBytes FROM blobs WHERE digest = ?";
    return firstRow<BlobLocation>(this.#host.sql, query, digest);
  }

  /** The digests of linked blobs after `last`, in order. */
  page(last: string, limit: number): Digest[] {
    const page = "SELECT digest FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?";
    return readRows<{ digest: Digest }>(this.#host.sql, page, last, limit).map(({ digest }) => digest);
  }

  /** Which of the digests are linked. */
  held(digests: AnyDigest[]): Digest[] {
    const held = "SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each(?))";
    const found = inPieces(digests, (json) => readRows<{ digest: Digest }>(this.#host.sql, held, json));
    return found.map(({ digest }) => digest);
  }

  /** Whether a manifest of this repository references the digest or has it as its subject. */
  isNamed(digest: Digest): boolean {
    const naming = `SELECT 1 FROM manifest_references WHERE digest = ?
      UNION ALL SELECT 1 FROM manifests WHERE subject = ? LIMIT 1`;
    return hasRow(this.#host.sql, naming, digest, digest);
  }

  /** The manifests that reference a digest or have it as their subject. */
  manifestsNaming(digest: Digest): Digest[] {
    const naming = `SELECT manifest FROM manifest_references WHERE digest = ?
      UNION SELECT digest FROM manifests WHERE subject = ?`;
    const found = readRows<{ manifest: Digest }>(this.#host.sql, naming, digest, digest);
    return found.map(({ manifest }) => manifest);
  }

  // ── Linking ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Links a blob at a location, or moves its link there; returns whether it is new. */
  link(tx: Tx, location: BlobLocation, now: number): boolean {
    const { digest, key } = location;
    const known = this.read(digest);
    this.write(tx, location, now);
    this.pending.expect(digest);
    // A blob is replicated to KV once a manifest references it, and again after every move.
    const isNewToKv = this.isNamed(digest) && this.reference(tx, [digest]).length > 0;
    const hasMoved = known?.isReplicated === true && known.key !== key;
    if (isNewToKv || hasMoved) this.markRows(tx, digest);
    return known === undefined;
  }

  /** Writes a new link, which may be unlinked once the grace time is over; or moves and renews an existing one. */
  write(tx: Tx, { digest, key, sizeBytes }: BlobLocation, now: number): void {
    const write = `INSERT INTO blobs (digest, key, size, renewed_at, unlink_at) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET key = excluded.key, size = excluded.size, renewed_at = excluded.renewed_at`;
    tx.write(write, digest, key, sizeBytes, now, now + this.#host.settings.gcGraceMs);
  }

  /** Records the event of a new link: a push, or a mount `from` another repository. */
  recordLink(
    tx: Tx,
    { digest, sizeBytes }: BlobLocation,
    origin: Origin,
    from: RepositoryName | undefined,
  ): void {
    const target = { digest, sizeBytes, mediaType: "application/octet-stream" };
    if (from === undefined) this.#events.record(tx, "blob.push", origin, target);
    else this.#events.record(tx, "blob.mount", origin, { ...target, fromRepository: from });
  }

  /** Marks every row of the replica that contains the location of a blob. */
  markRows(tx: Tx, digest: Digest): void {
    this.#outbox.mark(tx, { kind: "blob", digest });
    for (const manifest of this.manifestsNaming(digest))
      this.#outbox.mark(tx, { kind: "manifest", digest: manifest });
  }

  /**
   * Records that a manifest references these digests: linked blobs among them are not due to be unlinked, and have a
   * row in KV from now on. Returns those that had none before. The row of the manifest must list these.
   */
  reference(tx: Tx, digests: AnyDigest[]): Digest[] {
    const unreplicated = `SELECT digest FROM blobs
      WHERE replicated = 0 AND digest IN (SELECT value FROM json_each(?))` as const;
    const reference = `UPDATE blobs SET replicated = 1, unlink_at = NULL
      WHERE (replicated = 0 OR unlink_at IS NOT NULL) AND digest IN (SELECT value FROM json_each(?))`;
    return inPieces(digests, (json) => {
      const fresh = readRows<{ digest: Digest }>(this.#host.sql, unreplicated, json);
      tx.write(reference, json);
      return fresh.map(({ digest }) => digest);
    });
  }

  // ── Grace ────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Renews the grace of a blob that a client relies on. It is written only if less than half of the grace is left, or
   * if nothing else protects the blob from a collection without grace.
   */
  renewIfOld(digest: Digest): void {
    const { storage, clock, settings } = this.#host;
    this.pending.expect(digest);
    const known = this.read(digest);
    if (known === undefined) return;
    const now = clock.now();
    const ageMs = now - known.renewedAtMs;
    const isOld = ageMs > settings.gcGraceMs / 2 || (ageMs > settings.leaseMs && !this.isNamed(digest));
    if (isOld) transaction(storage, (tx) => this.renew(tx, [digest], now));
  }

  /** Records that these blobs were in use until a time. */
  renew(tx: Tx, digests: Digest[], at: number): void {
    const renew = "UPDATE blobs SET renewed_at = ? WHERE digest IN (SELECT value FROM json_each(?))";
    inPieces(digests, (json) => tx.write(renew, at, json));
  }

  /** Schedules blobs that no manifest references any more to be unlinked once the grace time is over. */
  releaseUnnamed(tx: Tx, digests: AnyDigest[]): void {
    const { clock, settings } = this.#host;
    const release = "UPDATE blobs SET renewed_at = ?, unlink_at = ? WHERE digest = ?";
    for (const digest of this.held(digests).filter((blob) => !this.isNamed(blob))) {
      // The client that pushed this manifest has used the blob and needs it for a lease at most. Other uses may be
      // pending.
      const usedAt = this.pending.lastUse(digest, this.read(digest)?.renewedAtMs ?? 0);
      tx.write(release, usedAt, clock.now() + settings.gcGraceMs, digest);
    }
  }

  /** Schedules a blob to be unlinked at a time, unless it is referenced by then. `null`: it is referenced now. */
  unlinkFrom(tx: Tx, digest: Digest, unlinkAt: number | null): void {
    tx.write("UPDATE blobs SET unlink_at = ? WHERE digest = ?", unlinkAt, digest);
  }

  /** Has blobs unlinked now unless a manifest references them, whoever may still rely on them. */
  endGrace(tx: Tx, digests: Digest[]): void {
    const end = `UPDATE blobs SET renewed_at = 0, unlink_at = ?
      WHERE digest IN (SELECT value FROM json_each(?))`;
    inPieces(digests, (json) => tx.write(end, this.#host.clock.now(), json));
  }

  /** Unlinks a blob. */
  delete(tx: Tx, digest: Digest): void {
    tx.write("DELETE FROM blobs WHERE digest = ?", digest);
  }
}

/** For how many blobs uses are remembered, and how many for each; the oldest are forgotten. */
const maxBlobs = 10_000;
const maxUsesOfABlob = 8;

/** The uses of a blob, as times: the last of all, and those whose manifest was not pushed yet. */
type Waiting = { last: number; open: number[] };

/**
 * Pending uses: a client pushed a blob or was told that it exists a moment ago, and has not pushed its manifest yet.
 *
 * They are in memory only, as most of these blobs are already referenced by a manifest, which protects them. They
 * matter if that manifest is deleted before the client pushes its own.
 */
export class PendingUses {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  /** In the order of the last uses. */
  readonly #waiting = new Map<AnyDigest, Waiting>();

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** How long a client may take to push its manifest, even if an administrator ends all grace. */
  get waitMs(): number {
    // A push takes longer than the lease of one of its blobs.
    return 5 * this.#leaseMs;
  }

  /** Records that a client may use a blob from now on. */
  expect(digest: Digest): void {
    const now = this.#clock.now();
    const open = [...(this.#waiting.get(digest)?.open ?? []), now].slice(-maxUsesOfABlob);
    this.#waiting.delete(digest);
    this.#waiting.set(digest, { last: now, open });
    for (const [oldest, { last }] of this.#waiting) {
      if (this.#waiting.size <= maxBlobs && last > now - this.waitMs) break;
      this.#waiting.delete(oldest);
    }
  }

  /** Records that a manifest which uses these blobs was pushed. */
  fulfil(digests: AnyDigest[]): void {
    for (const digest of digests) this.#waiting.get(digest)?.open.shift();
  }

  /**
   * The last use of a blob, in milliseconds since 1970; pending uses protect it for `waitMs` from then on. 0: none. If
   * all manifests were pushed, it is protected for another lease: a manifest may have been another client's, and the
   * answer to a push may still be on its way.
   *
   * `known`: the stored time, which is used if the object was restarted since or has forgotten the blob.
   */
  lastUse(digest: Digest, known: number): number {
    const waiting = this.#waiting.get(digest);
    if (waiting === undefined) return known;
    return waiting.open.at(-1) ?? waiting.last + this.#leaseMs - this.waitMs;
  }
}
