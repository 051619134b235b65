/**
 * How the object of a ledger lives, whatever the ledger holds: it is made by the first write, runs its changes as
 * transactions that start what they left to be done, does by its alarm what is due, and goes once a deletion is known
 * everywhere.
 */

import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../bindings.ts";
import { type Clock, systemClock } from "../../clock.ts";
import type { Origin } from "../../oci/event.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { DueJob, DueTable } from "../due.ts";
import { reportIfDue } from "../report.ts";
import { type Tx, transaction } from "../sql.ts";
import { type Collected, type CollectHow, endedAtOnce } from "../upkeep.ts";
import { announce, announceJob, isDrained, remembersAny } from "./announce.ts";
import { ledgerJobs } from "./jobs.ts";
import { endGrace } from "./links.ts";
import { type LedgerParts, makeParts } from "./parts.ts";
import { createSchema, forgetContent, type Meta, openSchema, readMeta, writeMeta } from "./schema.ts";
import { scanIfNew } from "./untagged.ts";

/** The object without its transactions. */
export abstract class LedgerBase extends DurableObject<Env> {
  protected readonly parts: LedgerParts;
  /** `undefined` until the first write. */
  protected meta: Meta | undefined;
  #announcing: Promise<void> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.parts = makeParts(ctx.storage, env, clock);
    this.meta = openSchema(ctx.storage);
    if (this.meta !== undefined) void this.parts.due.wake();
  }

  /** Whether there is a repository: something was pushed, and it was not deleted. */
  protected get exists(): boolean {
    return this.meta?.isFounded === true && !this.meta.isDeleting;
  }

  protected get sql(): SqlStorage {
    return this.ctx.storage.sql;
  }

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    await this.#run((due, jobs) => due.runAlarm(jobs, invocation));
  }

  async collect({ budgetMs, endsGrace }: CollectHow): Promise<Collected> {
    let more = false;
    let grace = { ended: 0, keptUntilMs: 0 };
    const freed = await this.parts.tally.during(async () => {
      if (endsGrace && this.exists)
        grace = transaction(this.ctx.storage, (tx) => endGrace(tx, this.parts, endedAtOnce));
      await this.#run(async (due, jobs) => {
        more = await due.run(jobs, budgetMs);
      });
    });
    return { freed, more: more || grace.ended >= endedAtOnce, keptUntilMs: grace.keptUntilMs };
  }

  /** Does what is due, in such a run. */
  async #run(run: (due: DueTable, jobs: Record<string, DueJob>) => Promise<void>): Promise<void> {
    if (this.meta === undefined) return;
    const { untaggedTtl } = this.meta;
    if (transaction(this.ctx.storage, (tx) => scanIfNew(tx, this.parts, untaggedTtl)))
      this.meta = readMeta(this.sql);
    const jobs = ledgerJobs(
      this.env,
      this.parts,
      this.meta.name,
      () => this.announce(),
      (work) => transaction(this.ctx.storage, work),
    );
    await run(this.parts.due, jobs);
    // The run before this one may have ended with the deletion of the ledger.
    if (this.meta === undefined) return;
    // What the jobs marked.
    await this.parts.writer.flush(this.meta.name);
    this.parts.due.arm();
    reportIfDue(this.env, this.parts.clock.now(), (promise) => this.ctx.waitUntil(promise));
    await this.#forgetIfOver();
  }

  /** Once a deletion is known everywhere, the name is free; and once nothing is remembered of it, the object goes. */
  async #forgetIfOver(): Promise<void> {
    if (this.meta === undefined || this.exists || !isDrained(this.parts)) return;
    if (this.meta.isDeleting) {
      transaction(this.ctx.storage, (tx) => forgetContent(tx));
      this.meta = readMeta(this.sql);
    }
    if (remembersAny(this.parts)) return;
    this.meta = undefined;
    this.parts.due.forget();
    await this.ctx.storage.deleteAll();
  }

  /** To be called by what comes before a push: the ledger then knows in time whether somebody listens to its events. */
  protected expectPush(): void {
    if (this.meta !== undefined) this.ctx.waitUntil(this.parts.events.ask(this.meta.name));
  }

  /** Tells the catalog what there is to list. What changed meanwhile is told again. */
  protected announce(): Promise<void> {
    // One at a time: of two calls, the later one could come first.
    const announced = this.#announcing.then(() => this.#announceNow());
    this.#announcing = announced.catch(() => {});
    return announced;
  }

  async #announceNow(): Promise<void> {
    const told = this.meta;
    if (told === undefined) return;
    await announce(this.env, told);
    if (JSON.stringify(this.meta) !== JSON.stringify(told)) return;
    transaction(this.ctx.storage, (tx) => this.parts.due.clear(tx, announceJob, ""));
  }

  /**
   * Runs one transaction, and starts what it left to be done. With a name it makes the ledger if there is none;
   * without, there must be one.
   */
  protected change<T>(repository: RepositoryName | undefined, work: (tx: Tx) => T): T {
    const existed = this.exists;
    const { due, outbox, writer, events } = this.parts;
    const { result, claimed } = transaction(this.ctx.storage, (tx) => {
      if (this.meta === undefined && repository !== undefined)
        createSchema(tx, repository, this.parts.clock.now());
      return outbox.claimAfter(tx, () => work(tx));
    });
    const meta = readMeta(this.sql);
    this.meta = meta;
    due.arm();
    const flushing = [writer.flush(meta.name, claimed), events.flushSoon(meta.name)];
    this.ctx.waitUntil(Promise.all(flushing).then(() => due.arm()));
    if (this.exists && !existed) this.ctx.waitUntil(this.announce().catch(() => {}));
    return result;
  }

  /** With the first blob or manifest the repository exists, and the catalog hears of it. */
  protected found(tx: Tx, origin: Origin): void {
    if (this.exists) return;
    writeMeta(tx, "founded", "yes");
    this.parts.events.record(tx, "repository.create", origin, {});
    this.parts.due.scrubLater(tx, this.parts.settings.scrubEveryMs);
    this.parts.due.set(tx, announceJob, "", this.parts.clock.now());
  }
}
