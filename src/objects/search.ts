/**
 * Finds repositories and tags. All that it has is derived: the ledgers announce themselves to it (ledger/search.ts), and
 * isolates report pulls. A new object, and one that is told to, reads the catalog's list and has each ledger announce
 * itself.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { PullCount } from "../metrics/meter.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Page, RepositoryInfo } from "../rpc/api.ts";
import type {
  FoundRepository,
  FoundTag,
  SearchApi,
  SearchEntry,
  SearchPage,
  SearchQuery,
  TagChange,
  ToldTotal,
  ToldUsage,
} from "../rpc/search-api.ts";
import { catalogStub, repositoryStub } from "../rpc/stubs.ts";
import { type DueRow, DueTable } from "./due.ts";
import { applySchema } from "./schema.ts";
import { findRepositories, findTags } from "./search/find.ts";
import { createTextIndex, dropTagsJob, rebuildJob, searchSchema } from "./search/schema.ts";
import { SearchStore } from "./search/store.ts";
import { type Tx, transaction } from "./sql.ts";
import { idOfOne, nameOfOne, tellLedgers, type Untold } from "./tell-ledgers.ts";

/** How many repositories are read again at a time. */
const rebuildBatch = 50;

/** The object; see {@link SearchApi} for what each method does. */
export class Search extends DurableObject<Env> implements SearchApi {
  readonly #clock: Clock;
  readonly #due: DueTable;
  readonly #store: SearchStore;
  readonly #hasText: boolean;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    const { storage } = ctx;
    this.#clock = clock;
    this.#due = new DueTable(storage, clock);
    this.#hasText = transaction(storage, (tx) => {
      applySchema(tx, searchSchema);
      return createTextIndex(tx);
    });
    this.#store = new SearchStore(storage.sql, this.#hasText);
    void this.#due.wake();
  }

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    const jobs = {
      [rebuildJob]: (rows: DueRow[]) => this.#readAgain(rows),
      [dropTagsJob]: (rows: DueRow[]) => this.#dropTags(rows),
    };
    await this.#due.runAlarm(jobs, invocation);
  }

  async put(entry: SearchEntry, tags: TagChange[], isWhole: boolean): Promise<boolean> {
    return this.#change((tx) => {
      this.#dropLater(tx, this.#store.put(tx, entry, tags, isWhole));
      return this.#store.isLatest(entry);
    });
  }

  async putTags(name: RepositoryName, version: number, tags: TagChange[]): Promise<boolean> {
    return this.#change((tx) => this.#store.putTags(tx, name, version, tags));
  }

  async putInfo(info: RepositoryInfo, version: number): Promise<void> {
    this.#change((tx) => this.#store.putInfo(tx, info, version));
  }

  async remove(name: RepositoryName, version: number): Promise<void> {
    this.#change((tx) => this.#dropLater(tx, this.#store.remove(tx, name, version)));
  }

  async addPulls(pulls: PullCount[], now: number): Promise<void> {
    this.#change((tx) => this.#store.addPulls(tx, pulls, now));
  }

  async findRepositories(query: SearchQuery): Promise<SearchPage<FoundRepository>> {
    return findRepositories(this.ctx.storage.sql, this.#hasText, query);
  }

  async findTags(query: SearchQuery): Promise<SearchPage<FoundTag>> {
    return findTags(this.ctx.storage.sql, this.#hasText, query);
  }

  async usage(last: string, limit: number): Promise<Page<ToldUsage>> {
    return this.#store.usage(last, limit);
  }

  async totalUsage(): Promise<ToldTotal> {
    return { ...this.#store.totalUsage(), isComplete: !this.#due.has(rebuildJob) };
  }

  async rebuild(): Promise<void> {
    this.#change((tx) => this.#due.set(tx, rebuildJob, "", this.#clock.now()));
  }

  #change<T>(work: (tx: Tx) => T): T {
    const result = transaction(this.ctx.storage, work);
    this.#due.arm();
    return result;
  }

  #dropLater(tx: Tx, id: number | undefined): void {
    if (id !== undefined) this.#due.set(tx, dropTagsJob, String(id), this.#clock.now());
  }

  /** Removes the tags of numbers that no repository has any more, and lets other calls run in between. */
  async #dropTags(rows: DueRow[]): Promise<void> {
    for (const { id } of rows) {
      const drop = (tx: Tx) => {
        const areGone = this.#store.dropTags(tx, Number(id));
        if (areGone) this.#due.clear(tx, dropTagsJob, id);
        return areGone;
      };
      while (!transaction(this.ctx.storage, drop)) await scheduler.wait(0);
    }
  }

  async #readAgain(rows: DueRow[]): Promise<void> {
    await Promise.all(
      rows.map((row) => {
        const only = nameOfOne(row.id);
        return only === undefined ? this.#readNextAgain(row.id) : this.#readOneAgain(row.id, only);
      }),
    );
  }

  /** Lists the next repositories as the catalog has them, and has their ledgers announce themselves. */
  async #readNextAgain(after: string): Promise<void> {
    const { entries, more } = await catalogStub(this.env).listRepositories("", after, rebuildBatch);
    const untold = await this.#announce(entries.map(({ name }) => name));
    transaction(this.ctx.storage, (tx) => {
      for (const entry of entries) this.#store.list(tx, entry);
      this.#due.clear(tx, rebuildJob, after);
      this.#tellLater(tx, untold);
      const last = entries.at(-1);
      if (more && last !== undefined) this.#due.set(tx, rebuildJob, last.name, this.#clock.now());
    });
  }

  async #readOneAgain(row: string, name: RepositoryName): Promise<void> {
    const untold = await this.#announce([name]);
    transaction(this.ctx.storage, (tx) => {
      this.#due.clear(tx, rebuildJob, row);
      this.#tellLater(tx, untold);
    });
  }

  #announce(names: RepositoryName[]): Promise<Untold[]> {
    return tellLedgers(names, (name) => repositoryStub(this.env, name).announceAll());
  }

  #tellLater(tx: Tx, untold: Untold[]): void {
    for (const { name, againInMs } of untold) {
      this.#due.set(tx, rebuildJob, idOfOne(name), this.#clock.now() + againInMs);
    }
  }
}
