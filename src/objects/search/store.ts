/** What the object that finds repositories keeps of them, in SQL. */
import type { PullCount } from "../../metrics/meter.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { ListedRepository, Page, RepositoryInfo } from "../../rpc/api.ts";
import type { SearchEntry, TagChange, ToldTotal, ToldUsage } from "../../rpc/search-api.ts";
import { day } from "../../units.ts";
import { firstRow, inPieces, oneRow, readRows, type Tx } from "../sql.ts";
import { dropTagsJob } from "./schema.ts";

/** SQL for what a repository holds, or `NULL` if its ledger has not said that in its last announcement. */
const toldUsage = "iif(usage_version = version, usage, NULL)";

/** How many tags are removed in one transaction. */
const tagsAtOnce = 1000;

/** SQL for a number that no repository has, and no tags that are left of one. */
const unusedId = `SELECT 1 + max(
    coalesce((SELECT max(id) FROM repositories), 0),
    coalesce((SELECT max(repository) FROM tags), 0),
    coalesce((SELECT max(CAST(id AS INTEGER)) FROM due WHERE kind = '${dropTagsJob}'), 0))`;

type Known = { id: number; version: number; description: string };

/** Repositories and their tags, as their ledgers announced them. */
export class SearchStore {
  readonly #sql: SqlStorage;
  /** Whether there is an index of texts. */
  readonly #hasText: boolean;

  constructor(sql: SqlStorage, hasText: boolean) {
    this.#sql = sql;
    this.#hasText = hasText;
  }

  /**
   * Replaces what is known of a repository, unless something newer is known. Returns the number of tags that nobody
   * finds any more, if there are too many to be removed at once.
   */
  put(tx: Tx, entry: SearchEntry, tags: TagChange[], isWhole: boolean): number | undefined {
    const { name, visibility, description, version } = entry;
    const known = this.#find(name);
    if (Math.max(known?.version ?? 0, this.#removedAt(name)) >= version) return undefined;
    const values = [
      visibility,
      description,
      version,
      entry.tags,
      entry.sizeBytes,
      entry.pushedAtMs,
      entry.pushedBy,
      entry.usedDay,
      JSON.stringify(entry.kinds),
      JSON.stringify(entry.platforms),
      entry.usage === undefined ? null : JSON.stringify(entry.usage),
      version,
    ];
    const id = this.#write(tx, name, description, known, () =>
      tx.write(
        `UPDATE repositories SET visibility = ?, description = ?, version = ?, tags = ?, size = ?, pushed_at = ?,
           pushed_by = ?, used_day = ?, kinds = ?, platforms = ?, usage = ?, usage_version = ? WHERE name = ?`,
        ...values,
        name,
      ),
    );
    const isLeft = isWhole && !this.dropTags(tx, id);
    this.#addTags(tx, isLeft ? this.#renumber(tx, id, entry) : id, tags);
    return isLeft ? id : undefined;
  }

  /** Whether this is what was announced last. */
  isLatest({ name, version }: Pick<SearchEntry, "name" | "version">): boolean {
    return this.#find(name)?.version === version;
  }

  /** Adds to the tags of a repository. Returns `false`, and does nothing, unless its last announcement has this version. */
  putTags(tx: Tx, name: RepositoryName, version: number, tags: TagChange[]): boolean {
    const known = this.#find(name);
    if (known?.version !== version) return false;
    this.#addTags(tx, known.id, tags);
    return true;
  }

  /** Changes what a repository says of itself, unless something newer is known. */
  putInfo(tx: Tx, { name, visibility, description }: RepositoryInfo, version: number): void {
    const known = this.#find(name);
    if (Math.max(known?.version ?? 0, this.#removedAt(name)) >= version) return;
    this.#write(tx, name, description, known, () =>
      tx.write(
        `UPDATE repositories SET visibility = ?1, description = ?2, version = ?3,
           usage_version = iif(usage_version = version, ?3, NULL) WHERE name = ?4`,
        visibility,
        description,
        version,
        name,
      ),
    );
  }

  /**
   * Lists a repository that its ledger has not announced yet, as the catalog knows it. One that was removed is not: the
   * catalog may not know that yet, and if it was founded again, it announces itself.
   */
  list(tx: Tx, { name, visibility, description, pulls, lastPulledAtMs }: ListedRepository): void {
    const known = this.#find(name);
    if (known === undefined && this.#removedAt(name) === 0) {
      this.#write(tx, name, description, known, () =>
        tx.write(
          "UPDATE repositories SET visibility = ?, description = ? WHERE name = ?",
          visibility,
          description,
          name,
        ),
      );
    }
    const count = "UPDATE repositories SET pulls = max(pulls, ?), last_pulled_at = ? WHERE name = ?";
    tx.write(count, pulls, lastPulledAtMs, name);
  }

  /** Removes a repository, unless it was announced again since. Returns what {@link put} does. */
  remove(tx: Tx, name: RepositoryName, version: number): number | undefined {
    const known = this.#find(name);
    if (known !== undefined && known.version > version) return undefined;
    tx.write("DELETE FROM removals WHERE version < ?", version - day);
    tx.write("INSERT OR REPLACE INTO removals (name, version) VALUES (?, ?)", name, version);
    if (known === undefined) return undefined;
    if (this.#hasText) this.#unindex(tx, known.id, name, known.description);
    tx.write("DELETE FROM repositories WHERE id = ?", known.id);
    return this.dropTags(tx, known.id) ? undefined : known.id;
  }

  /** Removes some of the tags of a number. Returns whether these were the last. */
  dropTags(tx: Tx, id: number): boolean {
    const drop = `DELETE FROM tags WHERE repository = ?1
      AND tag IN (SELECT tag FROM tags WHERE repository = ?1 LIMIT ?2) RETURNING 1`;
    return tx.write(drop, id, tagsAtOnce).length < tagsAtOnce;
  }

  /** Adds pulls up. */
  addPulls(tx: Tx, pulls: readonly PullCount[], now: number): void {
    for (const { repository, pulls: count } of pulls) {
      const add = "UPDATE repositories SET pulls = pulls + ?, last_pulled_at = ? WHERE name = ?";
      tx.write(add, count, now, repository);
    }
  }

  /** A page of what the repositories after `last` hold. */
  usage(last: string, limit: number): Page<ToldUsage> {
    const query =
      `SELECT name, ${toldUsage} AS usage FROM repositories WHERE name > ? ORDER BY name LIMIT ?` as const;
    const rows = readRows<{ name: RepositoryName; usage: string | null }>(this.#sql, query, last, limit + 1);
    const entries = rows
      .slice(0, limit)
      .map(({ name, usage }) => ({ name, usage: usage && JSON.parse(usage) }));
    return { entries, more: rows.length > limit };
  }

  /** What all repositories hold together. */
  totalUsage(): Omit<ToldTotal, "isComplete"> {
    const total = (of: string) => `CAST(total(told ->> '$.${of}') AS INTEGER)`;
    const query = `SELECT count(*) AS repositories, count(*) - count(told) AS untold,
        ${total("logical.objects")} AS objects, ${total("logical.bytes")} AS bytes,
        ${total("manifests")} AS manifests,
        ${total("stored.bytes")} - ${total("blobBytes")} AS manifestBytes,
        coalesce(max(told ->> '$.ledgerBytes'), 0) AS largestLedgerBytes
      FROM (SELECT ${toldUsage} AS told FROM repositories)` as const;
    type Row = { objects: number; bytes: number; manifests: number; manifestBytes: number } & Pick<
      ToldTotal,
      "repositories" | "untold" | "largestLedgerBytes"
    >;
    const { objects, bytes, manifests, manifestBytes, ...rest } = oneRow<Row>(this.#sql, query);
    return {
      ...rest,
      logical: { objects, bytes },
      manifestsAlone: { objects: manifests, bytes: manifestBytes },
    };
  }

  #find(name: RepositoryName): Known | undefined {
    const query = "SELECT id, version, description FROM repositories WHERE name = ?";
    return firstRow<Known>(this.#sql, query, name);
  }

  #removedAt(name: RepositoryName): number {
    const query = "SELECT version FROM removals WHERE name = ?";
    return firstRow<{ version: number }>(this.#sql, query, name)?.version ?? 0;
  }

  /** Makes the row if there is none, has it written, and keeps the index of texts like it. Returns its id. */
  #write(
    tx: Tx,
    name: RepositoryName,
    description: string,
    known: Known | undefined,
    write: () => void,
  ): number {
    const add = `INSERT INTO repositories (id, name, visibility, description, version)
      VALUES ((${unusedId}), ?, 'private', '', 0) RETURNING id`;
    const id = known?.id ?? tx.writeOne<{ id: number }>(add, name).id;
    write();
    if (this.#hasText && known?.description !== description) {
      if (known !== undefined) this.#unindex(tx, id, name, known.description);
      this.#index(tx, id, name, description);
    }
    return id;
  }

  /** Gives a repository another number, under which there are no tags. Returns it. */
  #renumber(tx: Tx, id: number, { name, description }: SearchEntry): number {
    const change = `UPDATE repositories SET id = (${unusedId}) WHERE id = ? RETURNING id`;
    const changed = tx.writeOne<{ id: number }>(change, id).id;
    if (this.#hasText) {
      this.#unindex(tx, id, name, description);
      this.#index(tx, changed, name, description);
    }
    return changed;
  }

  #index(tx: Tx, id: number, name: RepositoryName, description: string): void {
    const index = "INSERT INTO repository_text (rowid, name, description) VALUES (?, ?, ?)";
    tx.write(index, id, name, description);
  }

  /** Source: SQLite, FTS5, "External Content Tables": the values that are removed must be those that were added. */
  #unindex(tx: Tx, id: number, name: RepositoryName, description: string): void {
    tx.write(
      "INSERT INTO repository_text (repository_text, rowid, name, description) VALUES ('delete', ?, ?, ?)",
      id,
      name,
      description,
    );
  }

  #addTags(tx: Tx, id: number, tags: TagChange[]): void {
    inPieces(tags, (json) => {
      tx.write(
        `DELETE FROM tags WHERE repository = ? AND tag IN
           (SELECT value ->> 'tag' FROM json_each(?) WHERE value ->> 'digest' IS NULL)`,
        id,
        json,
      );
      return tx.write(
        `INSERT OR REPLACE INTO tags (repository, tag, digest)
           SELECT ?, value ->> 'tag', value ->> 'digest' FROM json_each(?) WHERE value ->> 'digest' IS NOT NULL`,
        id,
        json,
      );
    });
  }
}
