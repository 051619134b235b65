/**
 * How a ledger keeps tags and their history.
 */
import type { TagRow } from "../../storage/replica.ts";
import type { Page, ResolvedTag } from "../api.ts";

/** Tags in SQL. Nothing here opens a transaction; the ledger does. */
export class TagStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  read(tag: string): TagRow | undefined {
    return this.#sql.exec<TagRow>("SELECT digest, sequence FROM tags WHERE tag = ?", tag).toArray()[0];
  }

  /** The tags that exist of those asked for, with what they point at. */
  resolve(tags: string[]): Map<string, ResolvedTag> {
    const rows = this.#sql.exec<ResolvedTag & { tag: string }>(
      `SELECT tags.tag, tags.digest, tags.sequence, manifests.media_type AS mediaType, manifests.size AS sizeBytes
       FROM json_each(?) AS wanted JOIN tags ON tags.tag = wanted.value
       JOIN manifests ON manifests.digest = tags.digest`,
      JSON.stringify(tags),
    );
    return new Map(Array.from(rows, ({ tag, ...resolved }) => [tag, resolved]));
  }

  /** Points a tag at a digest, or deletes it (`undefined`). Returns whether that changed anything. */
  move(tag: string, digest: string | undefined, actor: string, now: number): boolean {
    const from = this.read(tag)?.digest;
    if (from === digest) return false;
    const { sequence } = this.#sql
      .exec<{ sequence: number }>(
        `INSERT INTO tag_history (tag, from_digest, to_digest, at, actor) VALUES (?, ?, ?, ?, ?)
         RETURNING sequence`,
        tag,
        from ?? null,
        digest ?? null,
        now,
        actor,
      )
      .one();
    if (digest === undefined) {
      this.#sql.exec("DELETE FROM tags WHERE tag = ?", tag);
    } else {
      this.#sql.exec(
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
    return this.#sql
      .exec<{ tag: string }>("SELECT tag FROM tags WHERE digest = ?", digest)
      .toArray()
      .map((row) => row.tag);
  }

  /** A page of tags after `last`, in ASCII order. */
  page(last: string, limit: number): Page<string> {
    const tags = this.#sql
      .exec<{ tag: string }>("SELECT tag FROM tags WHERE tag > ? ORDER BY tag LIMIT ?", last, limit + 1)
      .toArray()
      .map((row) => row.tag);
    return { entries: tags.slice(0, limit), more: tags.length > limit };
  }
}
