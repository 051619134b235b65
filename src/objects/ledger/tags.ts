/**
 * Tags and their history. Every move of a tag is kept for a while, so that it can be undone. Its sequence number tells
 * readers which of two answers is newer.
 */

import { failure, type Result } from "../../oci/errors.ts";
import type { Origin } from "../../oci/event.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import type { Page, ResolvedTag } from "../../rpc/api.ts";
import { logDeletion } from "../../rpc/tally.ts";
import type { TagMove, TagRestore } from "../../rpc/upkeep.ts";
import type { TagRow } from "../../storage/replica.ts";
import { day } from "../../units.ts";
import { eachRow, firstRow, hasRow, readRows, type Tx, transaction } from "../sql.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Outbox } from "./outbox.ts";
import type { Untagged } from "./untagged.ts";

/** The job that forgets old moves. */
const historyJob = "forget-history";

const forgetBatch = 500;

/** So many rows of KV are marked one by one. */
const fewTags = 24;

/** The least time between two rounds of forgetting. A move may be kept longer by up to this time. */
const roundMs = 3_600_000;

/** Why a tag moves, if its history is to say that; `rule`: the rule by which retention removes it. */
type Why = { reason?: string; rule?: string };

type Move = { tag: Tag; from: Digest | undefined; to: Digest | undefined };

/** The tags. */
export class Tags implements Feature {
  readonly tables = {
    tags: { key: ["tag"], comesBack: "by itself" },
    tag_history: { key: ["sequence"], comesBack: "by itself" },
  } as const;

  readonly steps = {
    1: `
  CREATE TABLE IF NOT EXISTS tags (
    tag TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    moved_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS tags_by_digest ON tags (digest);
  -- Every move; to_digest is null where the tag was deleted. Its key is the ledger's sequence number.
  CREATE TABLE IF NOT EXISTS tag_history (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tag TEXT NOT NULL,
    from_digest TEXT,
    to_digest TEXT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS tag_history_by_tag ON tag_history (tag, sequence);
`,
    12: `
  ALTER TABLE tag_history ADD COLUMN reason TEXT;
  -- When it was last pushed with the digest that it had already; null if it was not.
  ALTER TABLE tags ADD COLUMN pushed_at INTEGER;
`,
  };

  readonly jobs = {
    [historyJob]: {
      atDeletion: "cleared",
      run: async () => transaction(this.#host.storage, (tx) => this.#forgetHistory(tx)),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #outbox: Outbox;
  readonly #events: EventLog;
  readonly #untagged: Untagged;

  constructor(host: LedgerHost, outbox: Outbox, events: EventLog, untagged: Untagged) {
    this.#host = host;
    this.#outbox = outbox;
    this.#events = events;
    this.#untagged = untagged;
  }

  /**
   * Makes sequence numbers begin at the clock's milliseconds, and after the last one that was given before: they are
   * higher than all that a deleted repository of the same name had.
   */
  beginSequence(tx: Tx, lastBefore = 0): void {
    const last = Math.max(this.#host.clock.now(), lastBefore);
    tx.write("INSERT INTO tag_history (sequence, tag, at, actor) VALUES (?, '', 0, '')", last);
    tx.write("DELETE FROM tag_history");
  }

  read(tag: Tag): TagRow | undefined {
    return firstRow<TagRow>(this.#host.sql, "SELECT digest, sequence FROM tags WHERE tag = ?", tag);
  }

  /** Those of the tags that exist, with the digests that they point at. */
  resolve(tags: Tag[]): Map<Tag, ResolvedTag> {
    const query = `SELECT tags.tag, tags.digest, tags.sequence, manifests.media_type AS mediaType, manifests.size AS sizeBytes
      FROM json_each(?) AS wanted JOIN tags ON tags.tag = wanted.value
      JOIN manifests ON manifests.digest = tags.digest`;
    const found = eachRow<ResolvedTag & { tag: Tag }>(this.#host.sql, query, JSON.stringify(tags));
    return new Map(Array.from(found, ({ tag, ...resolved }) => [tag, resolved]));
  }

  /** The sequence number of the last move of a tag, if it was deleted also: 0 if none is remembered. */
  lastSequence(tag: Tag): number {
    const query = "SELECT max(sequence) AS sequence FROM tag_history WHERE tag = ?";
    const last = firstRow<{ sequence: number | null }>(this.#host.sql, query, tag)?.sequence;
    return this.read(tag)?.sequence ?? last ?? 0;
  }

  /** The tags that point at a digest, in ASCII order. */
  pointingAt(digest: Digest): Tag[] {
    const query = "SELECT tag FROM tags WHERE digest = ? ORDER BY tag";
    return readRows<{ tag: Tag }>(this.#host.sql, query, digest).map(({ tag }) => tag);
  }

  /** A page of tags after `last`, in ASCII order. */
  page(last: string, limit: number): Page<Tag> {
    const query = "SELECT tag FROM tags WHERE tag > ? ORDER BY tag LIMIT ?";
    const found = readRows<{ tag: Tag }>(this.#host.sql, query, last, limit + 1).map(({ tag }) => tag);
    return { entries: found.slice(0, limit), more: found.length > limit };
  }

  /** Whether a tag exists, or has existed within the history that is kept. */
  isKnown(tag: Tag): boolean {
    const moved = "SELECT 1 FROM tag_history WHERE tag = ? LIMIT 1";
    return this.read(tag) !== undefined || hasRow(this.#host.sql, moved, tag);
  }

  /** A page of the moves of a tag, newest first, before the one with this sequence number. */
  history(tag: Tag, before: number, limit: number): Page<TagMove> {
    const query = `SELECT sequence, from_digest AS "from", to_digest AS "to", at AS atMs, actor, reason FROM tag_history
      WHERE tag = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?`;
    const moves = readRows<TagMove>(this.#host.sql, query, tag, before, limit + 1);
    return { entries: moves.slice(0, limit), more: moves.length > limit };
  }

  /**
   * A digest that a tag pointed at: after the move with this sequence number; this digest, if it ever pointed at it; or
   * the last one before the current. `undefined` if its history does not have that, or the tag did not exist then.
   */
  digestBefore(tag: Tag, { sequence, digest }: TagRestore): Digest | undefined {
    const { sql } = this.#host;
    const current = this.read(tag)?.digest;
    if (digest !== undefined) {
      const moves = "SELECT 1 FROM tag_history WHERE tag = ? AND (from_digest = ? OR to_digest = ?) LIMIT 1";
      const hasPointed = current === digest || hasRow(sql, moves, tag, digest, digest);
      return hasPointed ? digest : undefined;
    }
    if (sequence === undefined) {
      const last = `SELECT from_digest AS digest FROM tag_history
        WHERE tag = ? AND from_digest IS NOT NULL AND from_digest IS NOT ? ORDER BY sequence DESC LIMIT 1`;
      return firstRow<{ digest: Digest }>(sql, last, tag, current ?? null)?.digest;
    }
    const [move] = this.history(tag, sequence + 1, 1).entries;
    return move?.sequence === sequence ? (move.to ?? undefined) : undefined;
  }

  // ── Moving ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Points a tag at a digest, or deletes it (`undefined`). Returns whether that changed anything.
   */
  move(tx: Tx, tag: Tag, digest: Digest | undefined, origin: Origin, why: Why = {}): boolean {
    const { due, clock, settings, revision } = this.#host;
    const now = clock.now();
    const from = this.read(tag)?.digest;
    if (from === digest) return false;
    revision.value++;
    const add = `INSERT INTO tag_history (tag, from_digest, to_digest, at, actor, reason)
      VALUES (?, ?, ?, ?, ?, ?) RETURNING sequence`;
    const { sequence } = tx.writeOne<{ sequence: number }>(
      add,
      tag,
      from ?? null,
      digest ?? null,
      now,
      origin.actor,
      why.reason ?? null,
    );
    const point = `INSERT INTO tags (tag, digest, sequence, moved_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
      SET digest = excluded.digest, sequence = excluded.sequence, moved_at = excluded.moved_at`;
    if (digest === undefined) tx.write("DELETE FROM tags WHERE tag = ?", tag);
    else tx.write(point, tag, digest, sequence, now);
    this.#outbox.mark(tx, { kind: "tag", tag });
    this.#host.announceSoon(tx);
    if (!due.has(historyJob)) due.set(tx, historyJob, "", now + settings.tagHistoryMs);
    if (from !== undefined) this.#untagged.removeLater(tx, [from]);
    this.#recordMove(tx, { tag, from, to: digest }, origin, why);
    return true;
  }

  /** Deletes all tags that point at a digest. They may be thousands, so it takes a few statements. Returns them. */
  removeAllOf(tx: Tx, digest: Digest, origin: Origin): Tag[] {
    const pointing = this.pointingAt(digest);
    if (pointing.length === 0) return [];
    const { due, clock, settings, revision } = this.#host;
    revision.value++;
    const now = clock.now();
    const add = `INSERT INTO tag_history (tag, from_digest, to_digest, at, actor)
      SELECT tag, digest, NULL, ?, ? FROM tags WHERE digest = ? ORDER BY tag`;
    tx.write(add, now, origin.actor, digest);
    // Few are written to KV at once, without a row for each in the outbox.
    if (pointing.length > fewTags)
      this.#outbox.markAll(tx, "tag", "SELECT tag AS id FROM tags WHERE digest = ?", digest);
    else for (const tag of pointing) this.#outbox.mark(tx, { kind: "tag", tag });
    tx.write("DELETE FROM tags WHERE digest = ?", digest);
    if (!due.has(historyJob)) due.set(tx, historyJob, "", now + settings.tagHistoryMs);
    for (const tag of pointing) this.#recordMove(tx, { tag, from: digest, to: undefined }, origin, {});
    this.#host.announceSoon(tx);
    return pointing;
  }

  /** Deletes a tag but not its manifest. Error: `MANIFEST_UNKNOWN`. */
  remove(tx: Tx, tag: Tag, origin: Origin): Result {
    if (!this.move(tx, tag, undefined, origin)) return failure("MANIFEST_UNKNOWN", { tag });
    const { actor } = origin;
    logDeletion({ what: "tag", reason: "asked for", repository: this.#host.name(), tag, actor });
    return { ok: true };
  }

  /** Deletes a tag that the upstream of a cached repository has no more. */
  removeGone(tx: Tx, tag: Tag, origin: Origin): void {
    if (!this.move(tx, tag, undefined, origin)) return;
    logDeletion({ what: "tag", reason: "gone upstream", repository: this.#host.name(), tag });
  }

  /** Records that a tag was pushed again with the digest that it had, at most once a day. */
  renewPush(tx: Tx, tag: Tag): void {
    const now = this.#host.clock.now();
    const renew = `UPDATE tags SET pushed_at = ?1 WHERE tag = ?2 AND max(moved_at, coalesce(pushed_at, 0)) <= ?3`;
    tx.write(renew, now, tag, now - day);
    this.#host.revision.value++;
  }

  #recordMove(tx: Tx, { tag, from, to }: Move, origin: Origin, { rule }: Why): void {
    const before = from === undefined ? {} : { previousDigest: from };
    if (to === undefined && rule !== undefined)
      this.#events.record(tx, "tag.expire", origin, { tag, ...before, rule });
    else if (to === undefined) this.#events.record(tx, "tag.delete", origin, { tag, ...before });
    else {
      const type = from === undefined ? "tag.create" : "tag.move";
      this.#events.record(tx, type, origin, { tag, digest: to, ...before });
    }
  }

  /** Has moves forgotten that are too old, as some may have been added. */
  forgetOldMoves(tx: Tx): void {
    this.#host.due.set(tx, historyJob, "", this.#host.clock.now());
  }

  /** Forgets moves that are too old, the oldest first, in batches. */
  #forgetHistory(tx: Tx): void {
    const { sql, due, clock, settings } = this.#host;
    const now = clock.now();
    const forget = `DELETE FROM tag_history WHERE at < ? AND sequence IN
      (SELECT sequence FROM tag_history ORDER BY sequence LIMIT ?) RETURNING 1`;
    const isAll = tx.write(forget, now - settings.tagHistoryMs, forgetBatch).length < forgetBatch;
    const first = "SELECT at FROM tag_history ORDER BY sequence LIMIT 1";
    const oldest = firstRow<{ at: number }>(sql, first)?.at;
    if (oldest === undefined) due.clear(tx, historyJob, "");
    else due.set(tx, historyJob, "", isAll ? Math.max(oldest + settings.tagHistoryMs, now + roundMs) : now);
  }
}
