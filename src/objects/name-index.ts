/**
 * A part of the index of names: which ledgers may exist. It answers for names that nobody ever pushed to, so that a
 * question creates no object; see {@link NameIndexApi}.
 *
 * A part that is new, or is built again, fills itself from the catalog's list of repositories. Until then it does not
 * say of any name that it is not registered.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { type Clock, systemClock } from "../clock.ts";
import { log } from "../log.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { KnownName, NameIndexApi } from "../rpc/name-index-api.ts";
import { catalogStub, nameIndexPartOf } from "../rpc/stubs.ts";
import { type DueRow, DueTable } from "./due.ts";
import { NameStore, nameIndexSchema } from "./name-index/store.ts";
import { applySchema } from "./schema.ts";
import { type Tx, transaction } from "./sql.ts";

/** The job that reads the next page of the catalog's list. Its id is the number of this part and the last name read. */
const fillJob = "fill";

/** How many repositories are read at a time. */
const namesAPage = 1000;

/** A part; see {@link NameIndexApi} for what each method does. */
export class NameIndex extends DurableObject<Env> implements NameIndexApi {
  readonly #clock: Clock;
  readonly #store: NameStore;
  readonly #due: DueTable;
  #filling: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.#clock = clock;
    this.#store = new NameStore(ctx.storage.sql);
    this.#due = new DueTable(ctx.storage, clock);
    this.#change((tx) => applySchema(tx, nameIndexSchema));
    void this.#due.wake();
  }

  async register(name: RepositoryName, isPublic: boolean): Promise<number> {
    return this.#change((tx) => this.#store.register(tx, name, isPublic, this.#clock.now()));
  }

  async add(names: KnownName[]): Promise<number> {
    return this.#change((tx) => this.#addAll(tx, names));
  }

  async remove(name: RepositoryName, registration: number): Promise<void> {
    this.#change((tx) => this.#store.remove(tx, name, registration));
  }

  async hide(name: RepositoryName, registration: number): Promise<void> {
    this.#change((tx) => this.#store.hide(tx, name, registration));
  }

  async has(name: RepositoryName): Promise<boolean | undefined> {
    return this.#look(name, () => this.#store.has(name));
  }

  async mayBePublic(name: RepositoryName): Promise<boolean | undefined> {
    return this.#look(name, () => this.#store.mayBePublic(name));
  }

  async rebuild(part: number): Promise<void> {
    this.#change((tx) => {
      this.#store.setFilled(tx, false);
      tx.write("DELETE FROM due WHERE kind = ?", fillJob);
      this.#readLater(tx, part, "", this.#clock.now());
    });
    this.#due.arm();
  }

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    await this.#due.runAlarm({ [fillJob]: (rows) => this.#fillOn(rows) }, invocation);
  }

  #change<T>(work: (tx: Tx) => T): T {
    return transaction(this.ctx.storage, work);
  }

  #addAll(tx: Tx, names: KnownName[]): number {
    return names.filter((each) => this.#store.add(tx, each)).length;
  }

  /** Looks something up. `undefined` if it is not found while this part is being filled. */
  async #look(name: RepositoryName, isFound: () => boolean): Promise<boolean | undefined> {
    if (!isFound() && !this.#store.isFilled) await this.#beginToFill(nameIndexPartOf(this.env, name));
    if (isFound()) return true;
    return this.#store.isFilled ? false : undefined;
  }

  /** Reads the first page, which is all there is to read in most registries. The alarm reads the others. */
  async #beginToFill(part: number): Promise<void> {
    if (this.#due.has(fillJob)) return;
    this.#filling ??= this.#readPage(part, "")
      .catch((error) => log("warn", "index of names not filled", { error: String(error) }))
      .finally(() => {
        this.#filling = undefined;
      });
    await this.#filling;
  }

  async #fillOn(rows: DueRow[]): Promise<void> {
    for (const { id } of rows) {
      const [part = "", ...after] = id.split(" ");
      await this.#readPage(Number(part), after.join(" "));
    }
  }

  /**
   * Adds the names of a page of the catalog's list. After the last page this part is filled, unless an earlier release
   * was at work until a moment ago: then the list is read once more later, as it may have founded more.
   */
  async #readPage(part: number, after: string): Promise<void> {
    const id = `${part} ${after}`;
    const dueAt = this.#due.at(fillJob, id);
    const { names, more, settledAtMs } = await catalogStub(this.env).repositoryNames(after, namesAPage);
    this.#change((tx) => {
      this.#addAll(
        tx,
        names.filter(({ name }) => nameIndexPartOf(this.env, name) === part),
      );
      // What is due since then was asked for after this page was read.
      if (this.#due.at(fillJob, id) === dueAt) this.#due.clear(tx, fillJob, id);
      const now = this.#clock.now();
      const last = names.at(-1)?.name;
      if (more && last !== undefined) this.#readLater(tx, part, last, now);
      else if (now < settledAtMs) this.#readLater(tx, part, "", settledAtMs);
      // If it is being built again from the start, that is not done.
      else if (!this.#due.has(fillJob)) this.#store.setFilled(tx, true);
    });
    this.#due.arm();
  }

  #readLater(tx: Tx, part: number, after: string, at: number): void {
    this.#due.set(tx, fillJob, `${part} ${after}`, at);
  }
}
