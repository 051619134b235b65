/**
 * Announces the repository to the object that finds repositories (objects/search.ts): soon after each change, and all
 * changes of a few seconds at once.
 */

import type { TagChange } from "../../rpc/search-api.ts";
import { searchStub } from "../../rpc/stubs.ts";
import { firstRow, readRows, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import { readUsage } from "./listing.ts";
import type { RepositoryRecord } from "./repository.ts";
import { summarise } from "./views.ts";

/** The job. Its id is empty, or says that all tags are to be announced. */
const job = "announce-to-search";
const whole = "whole";

/** How long changes are collected, in milliseconds: longer where there is much to count for an announcement. */
const collectMs = 2_000;
const collectMuchMs = 8_000;
const much = 5_000;

/** How many moves of tags one announcement carries. */
const maxMoves = 1000;

/** With more tags, only the latest are announced when all are. */
const maxTags = 20_000;

/** What was announced last: its version, and the sequence number of the last move of a tag. */
type Announced = { version: number; sequence: number };

/** The announcements. */
export class SearchAnnouncements implements Feature {
  readonly tables = { search_announced: "kept" } as const;

  readonly steps = {
    11: `
  CREATE TABLE search_announced (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, sequence INTEGER NOT NULL);
  INSERT OR REPLACE INTO due (kind, id, at) SELECT '${job}', '${whole}', 0 FROM meta WHERE key = 'founded';
`,
  };

  readonly jobs = { [job]: { atDeletion: "awaited", run: () => this.#announce() } } as const;

  readonly #host: LedgerHost;
  readonly #repository: RepositoryRecord;
  #collectMs = collectMs;

  constructor(host: LedgerHost, repository: RepositoryRecord) {
    this.#host = host;
    this.#repository = repository;
  }

  /** Schedules an announcement, unless one is. */
  soon(tx: Tx): void {
    const { due, clock, env } = this.#host;
    if (env.SEARCH !== undefined && !due.has(job)) due.set(tx, job, "", clock.now() + this.#collectMs);
  }

  /** Schedules an announcement of everything. */
  wholly(tx: Tx): void {
    const { due, clock, env } = this.#host;
    if (env.SEARCH !== undefined) due.set(tx, job, whole, clock.now());
  }

  /** Announces at once who may see the repository, and the rest soon. */
  async now(): Promise<void> {
    const { env, storage } = this.#host;
    const { meta } = this.#repository;
    const search = searchStub(env);
    if (meta === undefined || search === undefined) return;
    const { name, visibility, description } = meta;
    const { version } = transaction(storage, (tx) => {
      this.soon(tx);
      return this.#remember(tx, this.#announced()?.sequence ?? 0);
    });
    // The alarm announces it again if this fails.
    await search.putInfo({ name, visibility, description }, version).catch(() => {});
  }

  async #announce(): Promise<void> {
    const { env, sql, storage, due, clock } = this.#host;
    const { meta } = this.#repository;
    const search = searchStub(env);
    if (meta === undefined || search === undefined) {
      transaction(storage, (tx) => this.#clear(tx, []));
      return;
    }
    const before = this.#announced();
    // After a removal the history does not have all tags: a repository may have been restored.
    const isWhole = due.at(job, whole) !== undefined || before === undefined || before.sequence === 0;
    const version = this.#nextVersion(before);
    const done = [due.at(job, ""), due.at(job, whole)];
    if (!meta.isFounded) {
      await search.remove(meta.name, version);
      transaction(storage, (tx) => this.#finish(tx, { version, sequence: 0 }, done));
      return;
    }
    const { name, visibility, description, usedDay } = meta;
    const usage = readUsage(sql);
    const { tags, manifests, stored, pushedAtMs, pushedBy, kinds, platforms } = summarise(sql, usage);
    this.#collectMs = tags + manifests > much ? collectMuchMs : collectMs;
    const moves = isWhole ? this.#allTags() : this.#movesAfter(before?.sequence ?? 0);
    const entry = {
      ...{ name, visibility, description, version, tags, kinds, platforms },
      sizeBytes: stored.bytes,
      pushedAtMs: pushedAtMs ?? null,
      pushedBy: pushedBy ?? null,
      usedDay: usedDay ?? null,
      usage,
    };
    await search.put(entry, moves.changes, isWhole);
    transaction(storage, (tx) => {
      this.#finish(tx, { version, sequence: moves.sequence }, done);
      if (moves.more) due.set(tx, job, "", clock.now());
    });
  }

  #announced(): Announced | undefined {
    return firstRow<Announced>(this.#host.sql, "SELECT version, sequence FROM search_announced");
  }

  #nextVersion(before: Announced | undefined): number {
    return Math.max(this.#host.clock.now(), (before?.version ?? 0) + 1);
  }

  /** Takes the next version. */
  #remember(tx: Tx, sequence: number): Announced {
    const next = { version: this.#nextVersion(this.#announced()), sequence };
    this.#finish(tx, next, undefined);
    return next;
  }

  /** Remembers what was announced, and removes what was due when that began. */
  #finish(tx: Tx, { version, sequence }: Announced, done: (number | undefined)[] | undefined): void {
    const remember = "INSERT OR REPLACE INTO search_announced (id, version, sequence) VALUES (1, ?, ?)";
    tx.write(remember, version, sequence);
    if (done !== undefined) this.#clear(tx, done);
  }

  #clear(tx: Tx, done: (number | undefined)[]): void {
    const { due } = this.#host;
    for (const [index, id] of ["", whole].entries()) {
      if (done.length === 0 || due.at(job, id) === done[index]) due.clear(tx, job, id);
    }
  }

  #movesAfter(sequence: number): { changes: TagChange[]; sequence: number; more: boolean } {
    const query = `SELECT tag, to_digest AS digest, sequence FROM tag_history
      WHERE sequence > ? ORDER BY sequence LIMIT ?`;
    const moves = readRows<TagChange & { sequence: number }>(this.#host.sql, query, sequence, maxMoves + 1);
    const taken = moves.slice(0, maxMoves);
    const latest = new Map(taken.map(({ tag, digest }) => [tag, digest]));
    return {
      changes: Array.from(latest, ([tag, digest]) => ({ tag, digest })),
      sequence: taken.at(-1)?.sequence ?? sequence,
      more: moves.length > maxMoves,
    };
  }

  #allTags(): { changes: TagChange[]; sequence: number; more: boolean } {
    const { sql } = this.#host;
    const query = "SELECT tag, digest FROM tags ORDER BY sequence DESC LIMIT ?";
    const last = firstRow<{ last: number | null }>(sql, "SELECT max(sequence) AS last FROM tag_history");
    return { changes: readRows<TagChange>(sql, query, maxTags), sequence: last?.last ?? 0, more: false };
  }
}
