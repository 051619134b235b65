/**
 * The list of repositories, as the catalog keeps it for lists and searches: derived from the ledgers, with how often each
 * repository and its tags were pulled.
 */
import type { PullCount } from "../../metrics/meter.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { ListedRepository, Page, RepositoryInfo, TagPulls } from "../../rpc/api.ts";
import { day } from "../../units.ts";
import { firstRow, hasRow, oneRow, readRows, type Tx } from "../sql.ts";

/** A tag that nobody pulled for so long is not counted any more, in milliseconds. */
const tagPullsKeptMs = 365 * day;

/** Of how many tags of a repository the pulls are kept: who may push makes as many tags as they like. */
const maxPulledTags = 1000;

const columns =
  "name, visibility, description, kind, pulls, last_pulled_at AS lastPulledAtMs, used_day AS usedDay";

/** The rows of repositories in SQL. */
export class RepositoryList {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Lists a repository, or changes what is said of it. `usedDay`: when it was last used, counted from 1970. */
  put(
    tx: Tx,
    { name, visibility, description, kind = null }: RepositoryInfo,
    usedDay: number | undefined,
  ): void {
    tx.write(
      `INSERT INTO repositories (name, visibility, description, kind, used_day) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET visibility = excluded.visibility, description = excluded.description,
         kind = excluded.kind, used_day = excluded.used_day`,
      name,
      visibility,
      description,
      kind,
      usedDay ?? null,
    );
  }

  /** Removes a repository with its counts. */
  remove(tx: Tx, repository: RepositoryName): void {
    tx.write("DELETE FROM repositories WHERE name = ?", repository);
    tx.write("DELETE FROM tag_pulls WHERE repository = ?", repository);
  }

  /** Records whether the ledger of a name keeps content that was deleted with a repository. */
  noteDeleted(tx: Tx, repository: RepositoryName, keepsDeleted: boolean): void {
    const isNoted = hasRow(this.#sql, "SELECT 1 FROM deleted_repositories WHERE name = ?", repository);
    if (isNoted === keepsDeleted) return;
    if (keepsDeleted) tx.write("INSERT INTO deleted_repositories (name) VALUES (?)", repository);
    else tx.write("DELETE FROM deleted_repositories WHERE name = ?", repository);
  }

  /** A page of the names after `last` of repositories, and of those that were deleted and are kept for a while. */
  ledgers(last: string, limit: number): Page<RepositoryName> {
    const query = `SELECT name FROM repositories WHERE name > ?1
      UNION SELECT name FROM deleted_repositories WHERE name > ?1 ORDER BY name LIMIT ?2`;
    const names = readRows<{ name: RepositoryName }>(this.#sql, query, last, limit + 1).map(
      ({ name }) => name,
    );
    return { entries: names.slice(0, limit), more: names.length > limit };
  }

  /** A page of repositories after `last` whose name or description contains `query`, which is in lower case. */
  page(query: string, last: string, limit: number): Page<ListedRepository> {
    const rows = readRows<ListedRepository>(
      this.#sql,
      `SELECT ${columns} FROM repositories
       WHERE name > ? AND (? = '' OR instr(name, ?) > 0 OR instr(lower(description), ?) > 0)
       ORDER BY name LIMIT ?`,
      last,
      query,
      query,
      query,
      limit + 1,
    );
    return { entries: rows.slice(0, limit), more: rows.length > limit };
  }

  /** A repository as it is listed; `undefined` where it is not. */
  find(name: RepositoryName): ListedRepository | undefined {
    return firstRow<ListedRepository>(this.#sql, `SELECT ${columns} FROM repositories WHERE name = ?`, name);
  }

  /** How many repositories there are. */
  count(): number {
    return oneRow<{ count: number }>(this.#sql, "SELECT count(*) AS count FROM repositories").count;
  }

  /** Adds pulls up. Those of a repository that is not listed, because it was deleted, are dropped. */
  addPulls(tx: Tx, pulls: readonly PullCount[], now: number): void {
    for (const { repository, tag, pulls: count } of pulls) {
      const listed = tx.write(
        "UPDATE repositories SET pulls = pulls + ?, last_pulled_at = ? WHERE name = ? RETURNING name",
        count,
        now,
        repository,
      );
      if (listed.length === 0 || tag === "") continue;
      tx.write(
        `INSERT INTO tag_pulls (repository, tag, pulls, last_pulled_at) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET pulls = pulls + excluded.pulls, last_pulled_at = excluded.last_pulled_at`,
        repository,
        tag,
        count,
        now,
      );
    }
    for (const repository of new Set(pulls.map((pull) => pull.repository))) this.#trimTags(tx, repository);
    tx.write("DELETE FROM tag_pulls WHERE last_pulled_at < ?", now - tagPullsKeptMs);
  }

  /** Forgets the tags of a repository that were not pulled for longest, where there are too many. */
  #trimTags(tx: Tx, repository: string): void {
    const query = "SELECT count(*) AS count FROM tag_pulls WHERE repository = ?";
    const { count } = oneRow<{ count: number }>(tx.sql, query, repository);
    if (count <= maxPulledTags) return;
    tx.write(
      `DELETE FROM tag_pulls WHERE repository = ? AND tag IN (
         SELECT tag FROM tag_pulls WHERE repository = ? ORDER BY last_pulled_at, pulls, tag LIMIT ?)`,
      repository,
      repository,
      count - maxPulledTags,
    );
  }

  /** The repositories that are pulled most, at most so many. */
  mostPulled(limit: number): { name: string; pulls: number }[] {
    return readRows(
      this.#sql,
      "SELECT name, pulls FROM repositories WHERE pulls > 0 ORDER BY pulls DESC, name LIMIT ?",
      limit,
    );
  }

  /** The tags of a repository that are pulled most. */
  tagPulls(repository: string, limit: number): TagPulls[] {
    return readRows<TagPulls>(
      this.#sql,
      `SELECT tag, pulls, last_pulled_at AS lastPulledAtMs FROM tag_pulls
       WHERE repository = ? ORDER BY pulls DESC, tag LIMIT ?`,
      repository,
      limit,
    );
  }
}
