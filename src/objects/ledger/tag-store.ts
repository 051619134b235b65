/**
 * How a ledger keeps tags and their history.
 */

import type { TagRow } from "../../storage/replica.ts";
import type { Page, ResolvedTag } from "../api.ts";
import { eachRow, firstRow, hasRow, readRows, type Tx } from "../sql.ts";
import type { TagMove, TagRestore } from "../upkeep.ts";

/** The job of the `due` table that forgets old moves. */
export const historyJob = "forget-history";

/** Tags in SQL. */
export class TagStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  read(tag: string): TagRow | undefined {
    return firstRow<TagRow>(this.#sql, "SELECT digest, sequence FROM tags WHERE tag = ?", tag);
  }

  /** The tags that exist of those asked for, with what they point at. */
  resolve(tags: string[]): Map<string, ResolvedTag> {
    const rows = eachRow<ResolvedTag & { tag: string }>(
      this.#sql,
      `SELECT tags.tag, tags.digest, tags.sequence, manifests.media_type AS mediaType, manifests.size AS sizeBytes
       FROM json_each(?) AS wanted JOIN tags ON tags.tag = wanted.value
       JOIN manifests ON manifests.digest = tags.digest`,
      JSON.stringify(tags),
    );
    return new Map(Array.from(rows, ({ tag, ...resolved }) => [tag, resolved]));
  }

  /** Points a tag at a digest, or deletes it (`undefined`). Returns whether that changed anything. */
  move(tx: Tx, tag: string, digest: string | undefined, actor: string, now: number): boolean {
    const from = this.read(tag)?.digest;
    if (from === digest) return false;
    const { sequence } = tx.writeOne<{ sequence: number }>(
      `INSERT INTO tag_history (tag, from_digest, to_digest, at, actor) VALUES (?, ?, ?, ?, ?)
         RETURNING sequence`,
      tag,
      from ?? null,
      digest ?? null,
      now,
      actor,
    );
    if (digest === undefined) {
      tx.write("DELETE FROM tags WHERE tag = ?", tag);
    } else {
      tx.write(
        "INSERT OR REPLACE INTO tags (tag, digest, sequence, moved_at) VALUES (?, ?, ?, ?)",
        tag,
        digest,
        sequence,
        now,
      );
    }
    return true;
  }

  /** The tags that point at a digest. */
  pointingAt(digest: string): string[] {
    return readRows<{ tag: string }>(this.#sql, "SELECT tag FROM tags WHERE digest = ?", digest).map(
      (row) => row.tag,
    );
  }

  /** A page of tags after `last`, in ASCII order. */
  page(last: string, limit: number): Page<string> {
    const tags = readRows<{ tag: string }>(
      this.#sql,
      "SELECT tag FROM tags WHERE tag > ? ORDER BY tag LIMIT ?",
      last,
      limit + 1,
    ).map((row) => row.tag);
    return { entries: tags.slice(0, limit), more: tags.length > limit };
  }

  /** A page of the moves of a tag, newest first, from before the one with this sequence number. */
  history(tag: string, before: number, limit: number): Page<TagMove> {
    const moves = readRows<TagMove>(
      this.#sql,
      `SELECT sequence, from_digest AS "from", to_digest AS "to", at AS atMs, actor FROM tag_history
         WHERE tag = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?`,
      tag,
      before,
      limit + 1,
    );
    return { entries: moves.slice(0, limit), more: moves.length > limit };
  }

  /**
   * What a tag pointed at: after the move with this sequence number; this digest, if it ever did; or the last one that
   * it does not point at now. `undefined` where its history does not have that, or it pointed at nothing then.
   */
  digestBefore(tag: string, { sequence, digest }: TagRestore): string | undefined {
    if (digest !== undefined) {
      const moves = "SELECT 1 FROM tag_history WHERE tag = ? AND (from_digest = ? OR to_digest = ?) LIMIT 1";
      const hasPointed = hasRow(this.#sql, moves, tag, digest, digest);
      return hasPointed || this.read(tag)?.digest === digest ? digest : undefined;
    }
    if (sequence === undefined) {
      const last = firstRow<{ digest: string }>(
        this.#sql,
        `SELECT from_digest AS digest FROM tag_history
           WHERE tag = ? AND from_digest IS NOT NULL AND from_digest IS NOT ? ORDER BY sequence DESC LIMIT 1`,
        tag,
        this.read(tag)?.digest ?? null,
      );
      return last?.digest;
    }
    const [move] = this.history(tag, sequence + 1, 1).entries;
    return move?.sequence === sequence ? (move.to ?? undefined) : undefined;
  }

  /** Forgets moves from before this time, the oldest first, at most `limit`; returns how many. */
  forgetMoves(tx: Tx, before: number, limit: number): number {
    return tx.write(
      `DELETE FROM tag_history WHERE at < ? AND sequence IN
         (SELECT sequence FROM tag_history ORDER BY sequence LIMIT ?) RETURNING 1`,
      before,
      limit,
    ).length;
  }

  /** When the oldest move was that is kept; `undefined` where there is none. */
  oldestMoveAt(): number | undefined {
    return firstRow<{ at: number }>(this.#sql, "SELECT at FROM tag_history ORDER BY sequence LIMIT 1")?.at;
  }
}
