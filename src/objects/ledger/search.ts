/**
 * Announces the repository to the object that finds repositories (objects/search.ts): soon after each change, and all
 * changes of a few seconds at once.
 */

import type { TagChange } from "../../rpc/search-api.ts";
import { searchStub } from "../../rpc/stubs.ts";
import { firstRow, readRows, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { RepositoryRecord } from "./repository.ts";
import { countTotals } from "./totals.ts";

/** The job. Its id is empty, or says that all tags are to be announced. */
const job = "announce-to-search";
const whole = "whole";

/** How long changes are collected, in milliseconds: longer where there is much to count for an announcement. */
const collectMs = 2_000;
const collectMuchMs = 8_000;
const much = 5_000;

/** How many tags one call carries. */
const tagsOfCall = 1000;

/** What was announced last: its version, and the sequence number of the last move of a tag. */
type Announced = { version: number; sequence: number };

/** Tags for one call, and those for the next. */
type TagPage = { changes: TagChange[]; next: (() => TagPage) | undefined };

/** The announcements. */
export class SearchAnnouncements implements Feature {
  readonly tables = { search_announced: "kept" } as const;

  readonly steps = {
    11: `
  CREATE TABLE search_announced (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, sequence INTEGER NOT NULL);
  INSERT OR REPLACE INTO due (kind, id, at) SELECT '${job}', '${whole}', 0 FROM meta WHERE key = 'founded';
`,
  };

  readonly jobs = {
    [job]: {
      atDeletion: "awaited",
      run: async () => {
        this.#isAnnouncing = true;
        try {
          await this.#announce();
        } finally {
          this.#isAnnouncing = false;
        }
      },
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #repository: RepositoryRecord;
  #collectMs = collectMs;
  /** Whether an announcement is under way, which may have missed what changes now. */
  #isAnnouncing = false;

  constructor(host: LedgerHost, repository: RepositoryRecord) {
    this.#host = host;
    this.#repository = repository;
  }

  /** Schedules an announcement, unless one is. */
  soon(tx: Tx): void {
    const { due, clock, env } = this.#host;
    if (env.SEARCH === undefined || (due.has(job) && !this.#isAnnouncing)) return;
    due.set(tx, job, "", clock.now() + this.#collectMs);
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
    const version = transaction(storage, (tx) => {
      this.soon(tx);
      return this.#nextVersion(tx);
    });
    // The alarm announces it again if this fails.
    await search.putInfo({ name, visibility, description }, version).catch(() => {});
  }

  async #announce(): Promise<void> {
    const { env, sql, storage, due } = this.#host;
    const search = searchStub(env);
    if (this.#repository.meta === undefined || search === undefined) {
      transaction(storage, (tx) => this.#clear(tx, []));
      return;
    }
    const done = [due.at(job, ""), due.at(job, whole)];
    const { usage, summary } = await countTotals(sql);
    const { meta } = this.#repository;
    // It was deleted meanwhile, and is announced again.
    if (meta === undefined) return;
    const before = this.#announced();
    const version = transaction(storage, (tx) => this.#nextVersion(tx));
    if (!meta.isFounded) {
      await search.remove(meta.name, version);
      transaction(storage, (tx) => this.#finish(tx, { version, sequence: 0 }, done));
      return;
    }
    const { name, visibility, description, usedDay } = meta;
    const { tags, manifests, stored, pushedAtMs, pushedBy, kinds, platforms } = summary;
    this.#collectMs = tags + manifests > much ? collectMuchMs : collectMs;
    // After a removal the history does not have all tags: a repository may have been restored.
    const isWhole = due.at(job, whole) !== undefined || before === undefined || before.sequence === 0;
    const sequence = this.#lastMove();
    const entry = {
      ...{ name, visibility, description, version, tags, kinds, platforms },
      sizeBytes: stored.bytes,
      pushedAtMs: pushedAtMs ?? null,
      pushedBy: pushedBy ?? null,
      usedDay: usedDay ?? null,
      usage,
    };
    let page = isWhole ? this.#tagsAfter("") : this.#movesAfter(before.sequence, sequence);
    // Where something newer was announced, or all is forgotten there, it is done again, from the beginning.
    if ((await search.put(entry, page.changes, isWhole)) === false) return;
    while (page.next !== undefined) {
      // As between two jobs (due.ts).
      await scheduler.wait(0);
      page = page.next();
      if (!(await search.putTags(name, version, page.changes))) return;
    }
    transaction(storage, (tx) => this.#finish(tx, { version, sequence }, done));
  }

  #announced(): Announced | undefined {
    return firstRow<Announced>(this.#host.sql, "SELECT version, sequence FROM search_announced");
  }

  /** Takes the next version, which no other announcement has, one that is under way included. */
  #nextVersion(tx: Tx): number {
    const before = this.#announced();
    const version = Math.max(this.#host.clock.now(), (before?.version ?? 0) + 1);
    this.#remember(tx, { version, sequence: before?.sequence ?? 0 });
    return version;
  }

  #remember(tx: Tx, { version, sequence }: Announced): void {
    const remember = `INSERT INTO search_announced (id, version, sequence) VALUES (1, ?, ?)
      ON CONFLICT DO UPDATE SET version = max(version, excluded.version), sequence = excluded.sequence`;
    tx.write(remember, version, sequence);
  }

  /** Remembers what was announced, and removes what was due when that began. */
  #finish(tx: Tx, announced: Announced, done: (number | undefined)[]): void {
    // Who may see it may have been announced meanwhile, with a newer version.
    this.#remember(tx, announced);
    this.#clear(tx, done);
  }

  #clear(tx: Tx, done: (number | undefined)[]): void {
    const { due } = this.#host;
    for (const [index, id] of ["", whole].entries()) {
      if (done.length === 0 || due.at(job, id) === done[index]) due.clear(tx, job, id);
    }
  }

  #lastMove(): number {
    const query = "SELECT max(sequence) AS last FROM tag_history";
    return firstRow<{ last: number | null }>(this.#host.sql, query)?.last ?? 0;
  }

  /** What moves of tags after one, and up to another, led to. */
  #movesAfter(sequence: number, last: number): TagPage {
    const query = `SELECT tag, to_digest AS digest, sequence FROM tag_history
      WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?`;
    type Move = TagChange & { sequence: number };
    const moves = readRows<Move>(this.#host.sql, query, sequence, last, tagsOfCall);
    const latest = new Map(moves.map(({ tag, digest }) => [tag, digest]));
    const reached = moves.at(-1)?.sequence ?? last;
    return {
      changes: Array.from(latest, ([tag, digest]) => ({ tag, digest })),
      next: moves.length < tagsOfCall ? undefined : () => this.#movesAfter(reached, last),
    };
  }

  /** Tags by name, as they are by then. What moves while they are announced is announced afterwards. */
  #tagsAfter(last: string): TagPage {
    const query = "SELECT tag, digest FROM tags WHERE tag > ? ORDER BY tag LIMIT ?";
    const changes = readRows<TagChange>(this.#host.sql, query, last, tagsOfCall);
    const reached = changes.at(-1)?.tag ?? last;
    return { changes, next: changes.length < tagsOfCall ? undefined : () => this.#tagsAfter(reached) };
  }
}
