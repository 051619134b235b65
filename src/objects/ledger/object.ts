/**
 * The life cycle of a ledger object, whatever its features. The first write creates the ledger. Changes run as
 * transactions; after each, the work that it scheduled begins. The alarm runs the jobs that are due. The object is
 * deleted once its repository is, and cannot be restored any more.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../bindings.ts";
import { type Clock, systemClock } from "../../clock.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { FoundingWrite } from "../../rpc/ledger-writes.ts";
import { reportIfDue } from "../../rpc/report-counts.ts";
import { type Collected, type CollectHow, endedAtOnce } from "../../rpc/upkeep.ts";
import type { DueJob, DueTable } from "../due.ts";
import { applySchema } from "../schema.ts";
import { scheduleScrub } from "../scrub/schedule.ts";
import { hasTable, Refused, type Tx, transaction, transactionUnlessRefused } from "../sql.ts";
import { awaitsAny, jobsOf, schemaOf } from "./feature.ts";
import { createLedger, type LedgerParts, makeParts } from "./parts.ts";
import type { Meta } from "./repository.ts";

/** The object without its transactions. */
export abstract class LedgerObject extends DurableObject<Env> {
  protected readonly parts: LedgerParts;

  constructor(ctx: DurableObjectState, env: Env, clock: Clock = systemClock) {
    super(ctx, env);
    this.parts = makeParts(ctx.storage, env, clock);
    const { features, repository, registration, untagged, due } = this.parts;
    if (hasTable(this.sql, "meta")) {
      transaction(ctx.storage, (tx) => {
        // An earlier release may have written the tables, and settings may have been others.
        applySchema(tx, schemaOf(features));
        if (repository.isFoundedIn(tx.sql)) scheduleScrub(tx, this.parts);
      });
    }
    repository.reload();
    if (repository.meta !== undefined) {
      untagged.scanIfNew();
      void due.wake();
    }
    registration.catchUp();
  }

  /** The record of the repository as a whole; `undefined` until the first write. */
  protected get meta(): Meta | undefined {
    return this.parts.repository.meta;
  }

  /** Whether the repository exists: something was pushed, and it was not deleted since. */
  protected get exists(): boolean {
    return this.meta?.isFounded === true;
  }

  protected get sql(): SqlStorage {
    return this.ctx.storage.sql;
  }

  override async alarm(invocation?: AlarmInvocationInfo): Promise<void> {
    await this.#run((due, jobs) => due.runAlarm(jobs, invocation));
  }

  async collect({ budgetMs, endsGrace }: CollectHow): Promise<Collected> {
    const { tally } = this.parts;
    let more = false;
    let keptUntilMs = 0;
    const freed = await tally.during(async () => {
      if (endsGrace && this.meta !== undefined)
        ({ more, keptUntilMs } = transaction(this.ctx.storage, (tx) => this.#endGrace(tx)));
      await this.#run(async (due, jobs) => {
        more = (await due.run(jobs, budgetMs)) || more;
      });
    });
    return { freed, more, keptUntilMs };
  }

  /**
   * Ends the grace of deleted content and unreferenced blobs, so that they are deleted now. `more`: some may be left.
   */
  #endGrace(tx: Tx): { more: boolean; keptUntilMs: number } {
    const { unlinking, deleted, generations } = this.parts;
    generations.endGrace(tx);
    const { ended, keptUntilMs } = unlinking.endGrace(tx, endedAtOnce);
    return { more: ended + deleted.endGrace(tx, endedAtOnce) >= endedAtOnce, keptUntilMs };
  }

  /** Runs the jobs that are due, by the given runner. */
  async #run(run: (due: DueTable, jobs: Record<string, DueJob>) => Promise<void>): Promise<void> {
    const { due, outbox, untagged, features, clock } = this.parts;
    if (this.meta === undefined) return;
    untagged.scanIfNew();
    await run(due, jobsOf(features));
    // The previous run may have ended with the deletion of the ledger.
    if (this.meta === undefined) return;
    // Write the rows that the jobs marked.
    await outbox.flush(this.meta.name);
    due.arm();
    reportIfDue(this.env, clock.now(), (promise) => this.ctx.waitUntil(promise));
    await this.#forgetIfOver();
  }

  /** Whether there is no repository, and nothing left to do or to remember. */
  get #isOver(): boolean {
    return this.meta !== undefined && !this.exists && !awaitsAny(this.sql, this.parts.features);
  }

  /** Deletes the object once there is nothing for it to keep, and the index of names does not have it any more. */
  async #forgetIfOver(): Promise<void> {
    const { repository, registration, due, policies } = this.parts;
    if (!this.#isOver) return;
    const hasLeft = await registration.leave();
    if (this.meta !== undefined) due.arm();
    // Something may have happened meanwhile.
    if (!hasLeft || !this.#isOver) return;
    repository.clear();
    due.forget();
    await this.ctx.storage.deleteAll();
    policies.forget();
  }

  /**
   * To be called by requests that precede a push, so that the ledger knows in time whether somebody listens to its
   * events.
   */
  protected expectPush(): void {
    if (this.meta !== undefined) this.ctx.waitUntil(this.parts.events.ask(this.meta.name));
  }

  /**
   * Runs one transaction, and starts the work that it scheduled. With a name, it creates the ledger if there is none
   * and the work leaves something to keep; without one, the ledger must exist.
   */
  protected change<T>(name: RepositoryName | undefined, work: (tx: Tx) => T): T {
    const existed = this.exists;
    const { due, outbox, events, repository, registration } = this.parts;
    const { result, claimed } = this.#transact((tx) => {
      const isNew = this.meta === undefined && name !== undefined;
      if (isNew) createLedger(tx, this.parts, name);
      const done = outbox.claimAfter(tx, () => work(tx));
      if (isNew && !this.#isWorthKeeping(tx)) throw new Refused(done);
      return done;
    });
    if (!repository.isCurrent) {
      repository.reload();
      registration.catchUp();
    }
    this.parts.changes.value++;
    if (this.meta === undefined) return result;
    due.arm();
    const flushing = [outbox.flush(this.meta.name, claimed), events.flushSoon(this.meta.name)];
    this.ctx.waitUntil(Promise.all(flushing).then(() => due.arm()));
    if (this.exists && !existed) this.ctx.waitUntil(repository.announce().catch(() => {}));
    return result;
  }

  /** Runs a transaction. What was read of a policy meanwhile may be undone with it. */
  #transact<T>(work: (tx: Tx) => T): T {
    try {
      return transactionUnlessRefused(this.ctx.storage, work);
    } finally {
      this.parts.policies.forget();
    }
  }

  /** Whether a new ledger has anything to keep: a repository, or something that it has to remember. */
  #isWorthKeeping({ sql }: Tx): boolean {
    return this.parts.repository.isFoundedIn(sql) || awaitsAny(sql, this.parts.features);
  }

  /**
   * Runs one transaction as {@link change} does, whose work calls `found` before it stores a blob or a manifest: from
   * then on the repository exists. If that would found the ledger, but its name was not registered for this write,
   * nothing is changed, and the result is `unfounded`.
   */
  protected changeOrFound<T>(write: FoundingWrite, unfounded: T, work: (tx: Tx, found: () => void) => T): T {
    const { registration, repository, policies } = this.parts;
    // Tables that are rolled back are billed all the same.
    if (this.meta === undefined && write.registration === null) return unfounded;
    return this.change(write.repository, (tx) =>
      work(tx, () => {
        if (!this.exists && !registration.allows(write.registration))
          throw new Refused({ result: unfounded, claimed: [] });
        if (this.exists) return registration.note(tx, write.registration);
        registration.noteFounding(tx, write.registration);
        repository.found(tx, write.origin);
        policies.arm(tx);
      }),
    );
  }
}
