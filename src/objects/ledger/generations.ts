/**
 * Generations of a repository's content. Deleting a repository is one short transaction: it sets the content aside, and
 * a push founds the next generation at once. Until the grace time is over, the deletion can be undone (restoring.ts),
 * and shards are told that the repository still holds the blobs. Then the content is removed, in batches.
 */
import type { Origin } from "../../oci/event.ts";
import type { AnyDigest, Digest } from "../../oci/reference.ts";
import { logDeletion } from "../../rpc/tally.ts";
import type { EndedGeneration } from "../../rpc/upkeep.ts";
import { type DueRow, jobOn } from "../due.ts";
import { firstRow, hasRow, hasTable, inPieces, oneRow, readRows, type Tx, transaction } from "../sql.ts";
import type { Blobs } from "./blobs.ts";
import { factsJob } from "./facts.ts";
import {
  asideName,
  type Content,
  contentTables,
  type Feature,
  type LedgerHost,
  schemaOf,
  setContentAside,
} from "./feature.ts";
import type { Outbox } from "./outbox.ts";
import { markPage, replicatedKinds } from "./rebuild.ts";
import type { Meta, RepositoryRecord } from "./repository.ts";
import { hasUnread } from "./reread.ts";
import type { Tags } from "./tags.ts";
import type { Unlinking } from "./unlinking.ts";

/** The job that marks the rows that KV has of a generation; its id is the generation, a kind and the last row. */
const unreplicateJob = "unreplicate";

/** The job that removes a generation; its id is the generation and the number of the batch. */
const removeJob = "remove-generation";

/** How many rows of a generation are removed in one transaction. */
const batchRows = 1000;

/** How many deleted generations a ledger keeps: each has tables, and a deletion takes longer the more tables there are. */
const maxGenerations = 20;

/**
 * A generation that was deleted. `schema`: the version of the ledger's schema by then; 0 if its manifests were still
 * being read again after an upgrade. `restorer`: the origin of the request that restores it, as JSON.
 */
export type Generation = {
  number: number;
  visibility: "private" | "public";
  description: string;
  deletedAtMs: number;
  actor: string;
  untilMs: number;
  schema: number;
  restorer: string | null;
  /** Whether it was a cached repository. */
  kind: "cache" | null;
};

const columns = `number, visibility, description, deleted_at AS deletedAtMs, actor, until AS untilMs, schema,
  restorer, kind`;

/** The features that a deletion of the repository changes. */
type Features = {
  repository: RepositoryRecord;
  outbox: Outbox;
  blobs: Blobs;
  tags: Tags;
  unlinking: Unlinking;
};

/** The generations that were deleted. */
export class Generations implements Feature {
  readonly tables = { generations: "awaited" } as const;

  readonly steps = {
    // A repository that an earlier release was deleting is deleted: what is left of it is in the outbox and in due.
    9: `
  CREATE TABLE generations (
    number INTEGER PRIMARY KEY,
    visibility TEXT NOT NULL,
    description TEXT NOT NULL,
    deleted_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    until INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    restorer TEXT
  );
  DELETE FROM tag_history WHERE EXISTS (SELECT 1 FROM meta WHERE key = 'deleting');
  DELETE FROM meta WHERE key != 'name' AND EXISTS (SELECT 1 FROM meta WHERE key = 'deleting');
`,
  };

  readonly jobs = {
    [unreplicateJob]: {
      atDeletion: "kept",
      run: async (due: DueRow[]) => transaction(this.#host.storage, (tx) => this.#markPages(tx, due)),
    },
    [removeJob]: {
      atDeletion: "kept",
      run: jobOn<`${number} ${number}`>(async (due) =>
        transaction(this.#host.storage, (tx) => {
          for (const { id } of due) this.#removeBatch(tx, id);
        }),
      ),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #features: Features;
  readonly #all: () => readonly Feature[];

  /** `all`: every feature of the ledger. */
  constructor(host: LedgerHost, features: Features, all: () => readonly Feature[]) {
    this.#host = host;
    this.#features = features;
    this.#all = all;
  }

  // ── Deleting ─────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Ends the current generation: deletes the repository, so that it can be restored for the grace time. The answer has
   * the earlier generations whose grace ends by that, as there are too many, or the database is too large.
   */
  end(tx: Tx, meta: Meta, origin: Origin): EndedGeneration {
    const { due, clock, settings, sql } = this.#host;
    const { repository, tags } = this.#features;
    const { generation: number, visibility, description } = meta;
    const schema = hasUnread(due) || due.has(factsJob) ? 0 : schemaOf(this.#all()).length;
    setContentAside(tx, this.#all(), number);
    this.#host.revision.value++;
    const lastMove = `SELECT coalesce(max(sequence), 0) AS sequence FROM ${asideName("tag_history", number)}`;
    tags.beginSequence(tx, oneRow<{ sequence: number }>(tx.sql, lastMove as `SELECT ${string}`).sequence);
    const now = clock.now();
    const until = now + settings.gcGraceMs;
    // The job of a generation that was being restored is cleared; it can be restored again.
    tx.write("UPDATE generations SET restorer = NULL");
    const add = `INSERT INTO generations (number, visibility, description, deleted_at, actor, until, schema, kind)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
    tx.write(add, number, visibility, description, now, origin.actor, until, schema, meta.kind ?? null);
    due.set(tx, removeJob, `${number} 0`, until);
    const surplus = this.#endGraceOf(
      tx,
      `number NOT IN
      (SELECT number FROM generations ORDER BY number DESC LIMIT ${maxGenerations})`,
    );
    // Half of what a ledger may hold is for what is not deleted.
    const isLarge = sql.databaseSize > settings.ledgerLimitBytes / 2;
    const first = `number = (SELECT min(number) FROM generations WHERE until > ?1 AND number < ${number})`;
    const squeezed = isLarge ? this.#endGraceOf(tx, first) : [];
    for (const { kind } of replicatedKinds) this.#markPage(tx, number, kind, "");
    repository.endGeneration(tx, meta, origin);
    return { generation: number, untilMs: until, lost: [...surplus, ...squeezed] };
  }

  /** Marks the rows that KV has of generations. A row of the current content with the same key is written again. */
  #markPages(tx: Tx, rows: DueRow[]): void {
    for (const { id } of rows) {
      const [number = "", kind = "", after = ""] = id.split(" ");
      this.#host.due.clear(tx, unreplicateJob, id);
      this.#markPage(tx, Number(number), kind, after);
    }
  }

  #markPage(tx: Tx, number: number, kind: string, after: string): void {
    const { due, clock, replica } = this.#host;
    const known = replicatedKinds.find((each) => each.kind === kind);
    if (replica === undefined || known === undefined) return;
    const last = markPage(tx, this.#features.outbox, known, asideName(known.table, number), after);
    if (last !== null) due.set(tx, unreplicateJob, `${number} ${kind} ${last}`, clock.now());
  }

  // ── What is kept ─────────────────────────────────────────────────────────────────────────────────────────────

  /** The generation of this number, if it can be restored. */
  find(number: number): Generation | undefined {
    const query = `SELECT ${columns} FROM generations WHERE number = ? AND until > ?` as const;
    return firstRow<Generation>(this.#host.sql, query, number, this.#host.clock.now());
  }

  /** The generations that can be restored, the last first. */
  list(): Generation[] {
    const query = `SELECT ${columns} FROM generations WHERE until > ? ORDER BY number DESC` as const;
    return readRows<Generation>(this.#host.sql, query, this.#host.clock.now());
  }

  /** Which of these blobs the ledger keeps for a generation that was deleted. */
  held(digests: AnyDigest[]): Digest[] {
    const numbers = readRows<{ number: number }>(this.#host.sql, "SELECT number FROM generations");
    return numbers.flatMap(({ number }) => {
      const held = `SELECT digest FROM ${asideName("blobs", number)}
        WHERE digest IN (SELECT value FROM json_each(?))` as const;
      return inPieces(digests, (json) => readRows<{ digest: Digest }>(this.#host.sql, held, json)).map(
        ({ digest }) => digest,
      );
    });
  }

  /** A generation that is being restored; `undefined` if it is not. */
  restoring(number: number): Generation | undefined {
    const query = `SELECT ${columns} FROM generations WHERE number = ? AND restorer IS NOT NULL` as const;
    return firstRow<Generation>(this.#host.sql, query, number);
  }

  // ── Removing ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends the grace of all generations, so that they are removed now. Returns how many there are. */
  endGrace(tx: Tx): number {
    return this.#endGraceOf(tx, "true").length;
  }

  /** Has a generation removed now: all that it had is in the current one. */
  restored(tx: Tx, number: number): void {
    tx.write("UPDATE generations SET restorer = NULL WHERE number = ?", number);
    this.#endGraceOf(tx, `number = ${number}`);
  }

  /** Ends the grace of generations that nobody is restoring. Returns their numbers. */
  #endGraceOf(tx: Tx, condition: string): number[] {
    const { due, clock } = this.#host;
    const now = clock.now();
    const end = `UPDATE generations SET until = ?1 WHERE until > ?1 AND restorer IS NULL AND ${condition}
      RETURNING number`;
    const ended = tx.write<{ number: number }>(end, now);
    for (const { number } of ended) due.set(tx, removeJob, `${number} 0`, now);
    return ended.map(({ number }) => number);
  }

  #removeBatch(tx: Tx, id: `${number} ${number}`): void {
    const { due, clock, name } = this.#host;
    const [number = 0, batch = 0] = id.split(" ").map(Number);
    // The row stays, and is tried again.
    if (this.#isNeeded(number)) return;
    due.clear(tx, removeJob, id);
    if (this.#removeRows(tx, number)) {
      due.set(tx, removeJob, `${number} ${batch + 1}`, clock.now());
      return;
    }
    for (const [table] of contentTables(this.#all()))
      tx.write(`DROP TABLE IF EXISTS ${asideName(table, number)}`);
    tx.write("DELETE FROM generations WHERE number = ?", number);
    this.#features.repository.announceLater(tx);
    logDeletion({ what: "repository", reason: "it was deleted, and not restored", repository: name() });
  }

  /** Whether a generation is being restored, or its rows in KV are not all marked. */
  #isNeeded(number: number): boolean {
    const isRestored = "SELECT 1 FROM generations WHERE number = ? AND restorer IS NOT NULL";
    const isMarked = "SELECT 1 FROM due WHERE kind = ? AND id >= ? AND id < ? LIMIT 1";
    // "!" is the character after a space.
    return (
      hasRow(this.#host.sql, isRestored, number) ||
      hasRow(this.#host.sql, isMarked, unreplicateJob, `${number} `, `${number}!`)
    );
  }

  /** Removes the next rows of a generation. Returns whether there may be more. */
  #removeRows(tx: Tx, number: number): boolean {
    let left = batchRows;
    for (const [table, content] of contentTables(this.#all())) {
      const aside = asideName(table, number);
      // A release that came later has tables that the generation does not have.
      if (!hasTable(tx.sql, aside)) continue;
      const limit = Math.min(left, content.rowsAtOnce ?? batchRows);
      const removed =
        table === "blobs" ? this.#removeBlobs(tx, aside, limit) : removeFrom(tx, aside, content, limit);
      if (removed === limit) return true;
      left -= removed;
    }
    return false;
  }

  /** Removes links of blobs; the shards are told about those that the ledger has nowhere else. */
  #removeBlobs(tx: Tx, aside: string, limit: number): number {
    const { blobs, unlinking } = this.#features;
    const page = `SELECT digest FROM ${aside} ORDER BY digest LIMIT ?` as const;
    const digests = readRows<{ digest: Digest }>(tx.sql, page, limit).map(({ digest }) => digest);
    if (digests.length === 0) return 0;
    inPieces(digests, (json) =>
      tx.write(`DELETE FROM ${aside} WHERE digest IN (SELECT value FROM json_each(?))`, json),
    );
    const kept = new Set([...blobs.held(digests), ...this.held(digests)]);
    const given = digests.filter((digest) => !kept.has(digest));
    unlinking.releaseLater(tx, given);
    this.#host.tally.add({ links: given.length });
    return digests.length;
  }
}

function removeFrom(tx: Tx, aside: string, { key }: Content, limit: number): number {
  const keys = key.join(", ");
  const remove = `DELETE FROM ${aside} WHERE (${keys}) IN (SELECT ${keys} FROM ${aside} LIMIT ?) RETURNING 1`;
  return tx.write(remove, limit).length;
}
