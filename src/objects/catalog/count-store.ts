/**
 * How the catalog keeps what isolates counted: sums of counters, and pulls by repository and tag.
 */
import type { FamilyName } from "../../metrics/families.ts";
import type { Report, Sample, UploadNews } from "../../metrics/meter.ts";
import type { Backlog, TagPulls } from "../api.ts";

/** Uploads live for less, whatever `UPLOAD_TTL` says. */
const openUploadsKeptMs = 7 * 24 * 3600 * 1000;

/** How long a report is remembered that was added up: an isolate that tries again does so within this time. */
const reportsKeptMs = 24 * 3600 * 1000;

const outboxes = ["replica", "events"] as const;

/** A tag that nobody pulled for so long is counted no more. */
const tagPullsKeptMs = 365 * 24 * 3600 * 1000;

/** Of how many tags of a repository the pulls are kept: who may push makes as many tags as they like. */
const maxPulledTags = 1000;

/** The rows of counts in SQL. */
export class CountStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Adds a report up, once. Pulls of a repository that is not listed, because it was deleted, are dropped. */
  add({ id, counters, pulls, uploads }: Report, now: number): void {
    if (!this.#isNew(id, now)) return;
    this.#noteUploads(uploads, now);
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
    for (const repository of new Set(pulls.map((pull) => pull.repository))) this.#trimTags(repository);
    this.#sql.exec("DELETE FROM tag_pulls WHERE last_pulled_at < ?", now - tagPullsKeptMs);
  }

  /** Whether a report has not been added up yet. From now on it has. */
  #isNew(id: string, now: number): boolean {
    this.#sql.exec("DELETE FROM added_reports WHERE added_at < ?", now - reportsKeptMs);
    const added = this.#sql.exec(
      "INSERT INTO added_reports (id, added_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING id",
      id,
      now,
    );
    return added.toArray().length > 0;
  }

  /** Forgets the tags of a repository that were not pulled for longest, where there are too many. */
  #trimTags(repository: string): void {
    const { count } = this.#sql
      .exec<{ count: number }>("SELECT count(*) AS count FROM tag_pulls WHERE repository = ?", repository)
      .one();
    if (count <= maxPulledTags) return;
    this.#sql.exec(
      `DELETE FROM tag_pulls WHERE repository = ? AND tag IN (
         SELECT tag FROM tag_pulls WHERE repository = ? ORDER BY last_pulled_at, pulls, tag LIMIT ?)`,
      repository,
      repository,
      count - maxPulledTags,
    );
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

  #noteUploads(uploads: readonly UploadNews[], now: number): void {
    for (const { id, isOpen } of uploads) {
      if (isOpen) this.#sql.exec("INSERT OR REPLACE INTO open_uploads (id, seen_at) VALUES (?, ?)", id, now);
      else this.#sql.exec("DELETE FROM open_uploads WHERE id = ?", id);
    }
    this.#sql.exec("DELETE FROM open_uploads WHERE seen_at < ?", now - openUploadsKeptMs);
  }

  /** How many uploads are open, of those that were heard of since then. */
  openUploads(since: number): number {
    return this.#sql
      .exec<{ count: number }>("SELECT count(*) AS count FROM open_uploads WHERE seen_at >= ?", since)
      .one().count;
  }

  /** Their ids, at most so many: those that were heard of last. */
  openUploadIds(since: number, limit: number): string[] {
    const ids = "SELECT id FROM open_uploads WHERE seen_at >= ? ORDER BY seen_at DESC LIMIT ?";
    return Array.from(this.#sql.exec<{ id: string }>(ids, since, limit), ({ id }) => id);
  }

  /** Keeps what a ledger could not hand over, and since when that is so. */
  putBacklog(repository: string, backlog: Backlog, now: number): void {
    for (const outbox of outboxes) {
      if (backlog[outbox] === 0) {
        this.#sql.exec("DELETE FROM backlogs WHERE repository = ? AND outbox = ?", repository, outbox);
      } else {
        this.#sql.exec(
          `INSERT INTO backlogs (repository, outbox, entries, since) VALUES (?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET entries = excluded.entries`,
          repository,
          outbox,
          backlog[outbox],
          now,
        );
      }
    }
  }

  /** What all ledgers could not hand over, and for how long the oldest of it waits. */
  backlogs(now: number): Sample[] {
    return outboxes.flatMap((outbox): Sample[] => {
      const { entries, since } = this.#sql
        .exec<{ entries: number; since: number }>(
          "SELECT total(entries) AS entries, coalesce(min(since), ?) AS since FROM backlogs WHERE outbox = ?",
          now,
          outbox,
        )
        .one();
      return [
        { family: "stowage_outbox_entries", labels: [outbox], value: entries },
        { family: "stowage_outbox_age_seconds", labels: [outbox], value: Math.max(0, now - since) / 1000 },
      ];
    });
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
