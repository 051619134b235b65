/**
 * The blobs that may be read through a repository: links to where their bytes are.
 *
 * A link that no manifest needs goes after a while (unlinking.ts). Clients that pushed a blob, or were told of it, have
 * that while to push the manifest that names it.
 */
import type { Clock } from "../../clock.ts";
import type { Origin } from "../../oci/event.ts";
import type { AnyDigest, Digest, RepositoryName } from "../../oci/reference.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { firstRow, hasRow, inPieces, readRows, type Tx, transaction } from "../sql.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Outbox } from "./outbox.ts";

/** A linked blob. `renewedAtMs`: when a client last was told that it is there, who may rely on it still. */
export type BlobLink = BlobLocation & { renewedAtMs: number; isReplicated: boolean };

type BlobRow = { digest: Digest; key: string; size: number; renewed_at: number; replicated: number };

/** Links, and who waits to use them. */
export class Blobs implements Feature {
  readonly tables = { blobs: "emptied" } as const;

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
    // What had a row in `due` for each blob has its time in a column.
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

  beforeDeletion(tx: Tx): void {
    this.#outbox.markAll(tx, "blob", "SELECT digest AS id FROM blobs WHERE replicated = 1");
  }

  read(digest: Digest): BlobLink | undefined {
    const row = firstRow<BlobRow>(this.#host.sql, "SELECT * FROM blobs WHERE digest = ?", digest);
    if (row === undefined) return undefined;
    const { key, size: sizeBytes, renewed_at: renewedAtMs } = row;
    return { digest: row.digest, key, sizeBytes, renewedAtMs, isReplicated: row.replicated === 1 };
  }

  /** Where a linked blob is. */
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

  /** Whether a manifest of this repository names the digest, as a reference or as its subject. */
  isNamed(digest: Digest): boolean {
    const naming = `SELECT 1 FROM manifest_references WHERE digest = ?
      UNION ALL SELECT 1 FROM manifests WHERE subject = ? LIMIT 1`;
    return hasRow(this.#host.sql, naming, digest, digest);
  }

  /** The manifests that name a digest, as a reference or as their subject. */
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
    // KV learns of a blob once a manifest names it, and of every move from then on.
    const isNewToKv = this.isNamed(digest) && this.reference(tx, [digest]).length > 0;
    const hasMoved = known?.isReplicated === true && known.key !== key;
    if (isNewToKv || hasMoved) this.markRows(tx, digest);
    return known === undefined;
  }

  /** Keeps a link, which may be unlinked once the grace time is over; or moves and renews it. */
  write(tx: Tx, { digest, key, sizeBytes }: BlobLocation, now: number): void {
    const write = `INSERT INTO blobs (digest, key, size, renewed_at, unlink_at) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET key = excluded.key, size = excluded.size, renewed_at = excluded.renewed_at`;
    tx.write(write, digest, key, sizeBytes, now, now + this.#host.settings.gcGraceMs);
  }

  /** Tells of a new link: a push, or a mount `from` another repository. */
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

  /** Has every row of the replica that says where a blob is written anew. */
  markRows(tx: Tx, digest: Digest): void {
    this.#outbox.mark(tx, { kind: "blob", digest });
    for (const manifest of this.manifestsNaming(digest))
      this.#outbox.mark(tx, { kind: "manifest", digest: manifest });
  }

  /**
   * Notes that a manifest references these: those that are linked are not due to be unlinked, and have a row in KV from
   * now on. Returns those that had none, which the manifest's row must name.
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
   * Keeps a blob for another while: a client relies on it. Written only when less than half of the grace is left, or when
   * nothing else keeps it from a collection that does not wait.
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

  /** Notes that these blobs were in use until a time. */
  renew(tx: Tx, digests: Digest[], at: number): void {
    const renew = "UPDATE blobs SET renewed_at = ? WHERE digest IN (SELECT value FROM json_each(?))";
    inPieces(digests, (json) => tx.write(renew, at, json));
  }

  /** Lets those of the digests go that are blobs which no manifest names any more, once the grace time is over. */
  releaseUnnamed(tx: Tx, digests: AnyDigest[]): void {
    const { clock, settings } = this.#host;
    const release = "UPDATE blobs SET renewed_at = ?, unlink_at = ? WHERE digest = ?";
    for (const digest of this.held(digests).filter((blob) => !this.isNamed(blob))) {
      // Who pushed it for this manifest has had their use of it, but for a lease. Others may wait for theirs.
      const usedAt = this.pending.lastUse(digest, this.read(digest)?.renewedAtMs ?? 0);
      tx.write(release, usedAt, clock.now() + settings.gcGraceMs, digest);
    }
  }

  /** Has a blob unlinked from a time on, if nothing references it then; `null`: something does. */
  unlinkFrom(tx: Tx, digest: Digest, unlinkAt: number | null): void {
    tx.write("UPDATE blobs SET unlink_at = ? WHERE digest = ?", unlinkAt, digest);
  }

  /** Unlinks a blob. */
  delete(tx: Tx, digest: Digest): void {
    tx.write("DELETE FROM blobs WHERE digest = ?", digest);
  }
}

/** Of how many blobs uses are remembered, and of each how many; the oldest are forgotten. */
const maxBlobs = 10_000;
const maxUsesOfABlob = 8;

/** Who waits to use a blob: when the last of all came, and when each came whose manifest has not come yet. */
type Waiting = { last: number; open: number[] };

/**
 * The clients that pushed a blob, or were told of it, a moment ago, and whose manifest has not come yet.
 *
 * It is in memory, as most of these blobs have a manifest already, which keeps them. It counts where that manifest is
 * deleted before the client's own has come.
 */
export class PendingUses {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  /** In the order of the last use of each. */
  readonly #waiting = new Map<AnyDigest, Waiting>();

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** How long a client may take to push its manifest, also where an administrator ends all grace. */
  get waitMs(): number {
    // A push takes longer than the lease of one of its blobs.
    return 5 * this.#leaseMs;
  }

  /** Notes that a client may use a blob from now on. */
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

  /** Notes that a manifest has come which uses these blobs. */
  fulfil(digests: AnyDigest[]): void {
    for (const digest of digests) this.#waiting.get(digest)?.open.shift();
  }

  /**
   * As of when a blob is kept, for `waitMs`, for the clients that wait to use it, in milliseconds since 1970; 0: for
   * nobody. Where all have pushed their manifests, a lease remains: the manifest may have been another client's, and the
   * answer to a push may still be on its way.
   *
   * `known`: what was written down. It counts where this memory began later, or has forgotten the blob.
   */
  lastUse(digest: Digest, known: number): number {
    const waiting = this.#waiting.get(digest);
    if (waiting === undefined) return known;
    return waiting.open.at(-1) ?? waiting.last + this.#leaseMs - this.waitMs;
  }
}
