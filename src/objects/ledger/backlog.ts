/**
 * What a ledger could not hand over: rows of the replica, and events. It tries again by itself; the catalog is told for
 * the metrics, and hears nothing of what succeeds, which is nearly everything.
 */

import type { Env } from "../../bindings.ts";
import type { Clock } from "../../clock.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { DueTable } from "../due.ts";
import { type TransactionalStorage, type Tx, transaction } from "../sql.ts";
import { catalogStub } from "../stubs.ts";

/** The job of the `due` table that tells the catalog. As long as it is there, the catalog may know of a backlog. */
export const backlogJob = "backlog";

/** A failure that is over sooner is nobody's business. */
const firstAfterMs = 10_000;
const againAfterMs = 60_000;

/** Lets the catalog hear of a failure, unless it is over by then. */
export function tellBacklogLater(tx: Tx, due: DueTable, now: number): void {
  if (due.at(backlogJob, "") === undefined) due.set(tx, backlogJob, "", now + firstAfterMs);
}

/** What hands over rows and events, and when it is tried again. */
type HandOver = { storage: TransactionalStorage; outbox: Queue; events: Queue; due: DueTable; clock: Clock };
type Queue = { backlog(): number };

/** Tells the catalog what is left to hand over, and again later until that is nothing. */
export async function tellBacklog(
  env: Env,
  repository: RepositoryName,
  { storage, outbox, events, due, clock }: HandOver,
): Promise<void> {
  const backlog = { replica: outbox.backlog(), events: events.backlog() };
  await catalogStub(env).putBacklog(repository, backlog);
  const isOver = backlog.replica === 0 && backlog.events === 0;
  transaction(storage, (tx) => {
    if (isOver) due.clear(tx, backlogJob, "");
    else due.set(tx, backlogJob, "", clock.now() + againAfterMs);
  });
}
