/**
 * How the catalog keeps what isolates counted: sums of counters, and pulls by repository and tag.
 */
import type { FamilyName } from "../../metrics/families.ts";
import type { Report, Sample } from "../../metrics/meter.ts";
import type { TagPulls } from "../api.ts";

/** A tag that nobody pulled for so long is counted no more. */
const tagPullsKeptMs = 365 * 24 * 3600 * 1000;

/** The rows of counts in SQL. */
export class CountStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Adds a report up. Pulls of a repository that is not listed, because it was deleted, are dropped. */
  add({ counters, pulls }: Report, now: number): void {
    for (const { family, labels, value } of counters) {
      this.#sql.exec(
        `INSERT INTO counters (family, labels, value) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET value = value + excluded.value`,
        family,
        JSON.stringify(labels),
        value,
      );
    }
    for (const { repository, tag, pulls: count } of pulls) {
      const { rowsWritten } = this.#sql.exec(
        "UPDATE repositories SET pulls = pulls + ?, last_pulled_at = ? WHERE name = ?",
        count,
        now,
        repository,
      );
      if (rowsWritten === 0 || tag === "") continue;
      this.#sql.exec(
        `INSERT INTO tag_pulls (repository, tag, pulls, last_pulled_at) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET pulls = pulls + excluded.pulls, last_pulled_at = excluded.last_pulled_at`,
        repository,
        tag,
        count,
        now,
      );
    }
    this.#sql.exec("DELETE FROM tag_pulls WHERE last_pulled_at < ?", now - tagPullsKeptMs);
  }

  /** The sums of all counters. */
  counters(): Sample[] {
    return this.#sql
      .exec<{ family: FamilyName; labels: string; value: number }>(
        "SELECT family, labels, value FROM counters ORDER BY family, labels",
      )
      .toArray()
      .map(({ family, labels, value }) => ({ family, labels: JSON.parse(labels), value }));
  }

  /** How many repositories there are, and the pulls of those that are pulled most. */
  repositories(limit: number): { count: number; mostPulled: { name: string; pulls: number }[] } {
    const { count } = this.#sql.exec<{ count: number }>("SELECT count(*) AS count FROM repositories").one();
    const mostPulled = this.#sql
      .exec<{ name: string; pulls: number }>(
        "SELECT name, pulls FROM repositories WHERE pulls > 0 ORDER BY pulls DESC, name LIMIT ?",
        limit,
      )
      .toArray();
    return { count, mostPulled };
  }

  /** The tags of a repository that are pulled most. */
  tagPulls(repository: string, limit: number): TagPulls[] {
    return this.#sql
      .exec<TagPulls>(
        `SELECT tag, pulls, last_pulled_at AS lastPulledAtMs FROM tag_pulls
         WHERE repository = ? ORDER BY pulls DESC, tag LIMIT ?`,
        repository,
        limit,
      )
      .toArray();
  }

  /** Forgets the counts of a repository that is no more. */
  forget(repository: string): void {
    this.#sql.exec("DELETE FROM tag_pulls WHERE repository = ?", repository);
  }
}
