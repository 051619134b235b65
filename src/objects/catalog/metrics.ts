/**
 * The catalog's data for the metrics, as isolates and ledgers report it: totals of counters, open uploads, and the
 * backlogs of ledgers.
 */
import type { FamilyName } from "../../metrics/families.ts";
import type { Report, Sample, UploadNews } from "../../metrics/meter.ts";
import type { Backlog } from "../../rpc/api.ts";
import { day } from "../../units.ts";
import { oneRow, readRows, type Tx } from "../sql.ts";

/** Longer than any upload lives, whatever the `UPLOAD_TTL`. In milliseconds. */
const openUploadsKeptMs = 7 * day;

/** How long the id of a report is remembered: an isolate sends it again within this time. In milliseconds. */
const reportsKeptMs = day;

const outboxes = ["replica", "events"] as const;

/** The rows of metrics in SQL. */
export class Metrics {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Adds a report to the totals. Returns false, and changes nothing, if it was added before. */
  add(tx: Tx, { id, counters, uploads }: Report, now: number): boolean {
    if (!this.#isNew(tx, id, now)) return false;
    this.#noteUploads(tx, uploads, now);
    for (const { family, labels, value } of counters) {
      tx.write(
        `INSERT INTO counters (family, labels, value) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET value = value + excluded.value`,
        family,
        JSON.stringify(labels),
        value,
      );
    }
    return true;
  }

  /** Whether a report is new. Records it as added. */
  #isNew(tx: Tx, id: string, now: number): boolean {
    tx.write("DELETE FROM added_reports WHERE added_at < ?", now - reportsKeptMs);
    const added = tx.write(
      "INSERT INTO added_reports (id, added_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING id",
      id,
      now,
    );
    return added.length > 0;
  }

  /** The sums of all counters. */
  counters(): Sample[] {
    return readRows<{ family: FamilyName; labels: string; value: number }>(
      this.#sql,
      "SELECT family, labels, value FROM counters ORDER BY family, labels",
    ).map(({ family, labels, value }) => ({ family, labels: JSON.parse(labels), value }));
  }

  #noteUploads(tx: Tx, uploads: readonly UploadNews[], now: number): void {
    for (const { id, isOpen } of uploads) {
      if (isOpen) tx.write("INSERT OR REPLACE INTO open_uploads (id, seen_at) VALUES (?, ?)", id, now);
      else tx.write("DELETE FROM open_uploads WHERE id = ?", id);
    }
    tx.write("DELETE FROM open_uploads WHERE seen_at < ?", now - openUploadsKeptMs);
  }

  /** How many uploads that were reported since then are open. */
  openUploads(since: number): number {
    const query = "SELECT count(*) AS count FROM open_uploads WHERE seen_at >= ?";
    return oneRow<{ count: number }>(this.#sql, query, since).count;
  }

  /** The ids of the open uploads that were reported last, at most `limit`. */
  openUploadIds(since: number, limit: number): string[] {
    const query = "SELECT id FROM open_uploads WHERE seen_at >= ? ORDER BY seen_at DESC LIMIT ?";
    return readRows<{ id: string }>(this.#sql, query, since, limit).map(({ id }) => id);
  }

  /** Stores the backlog of a ledger, and since when it has one. */
  putBacklog(tx: Tx, repository: string, backlog: Backlog, now: number): void {
    for (const outbox of outboxes) {
      if (backlog[outbox] === 0) {
        tx.write("DELETE FROM backlogs WHERE repository = ? AND outbox = ?", repository, outbox);
      } else {
        tx.write(
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

  /** The total backlog of all ledgers, and for how long the oldest has lasted. */
  backlogs(now: number): Sample[] {
    return outboxes.flatMap((outbox): Sample[] => {
      const { entries, since } = oneRow<{ entries: number; since: number }>(
        this.#sql,
        "SELECT total(entries) AS entries, coalesce(min(since), ?) AS since FROM backlogs WHERE outbox = ?",
        now,
        outbox,
      );
      return [
        { family: "stowage_outbox_entries", labels: [outbox], value: entries },
        { family: "stowage_outbox_age_seconds", labels: [outbox], value: Math.max(0, now - since) / 1000 },
      ];
    });
  }
}
