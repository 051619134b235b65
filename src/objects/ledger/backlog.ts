/**
 * What a ledger could not hand over: rows of the replica, and events. The ledger tries again by itself. The catalog is
 * told of failures alone, for the metrics.
 */

import { catalogStub } from "../../rpc/stubs.ts";
import type { DueTable } from "../due.ts";
import { type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job of the `due` table that tells the catalog. As long as it is there, the catalog may know of a backlog. */
const backlogJob = "backlog";

/** A failure that is over sooner is not reported. */
const firstAfterMs = 10_000;
const againAfterMs = 60_000;

/** Has the catalog told of a failure, unless it is over by then. */
export function tellBacklogLater(tx: Tx, due: DueTable, now: number): void {
  if (due.at(backlogJob, "") === undefined) due.set(tx, backlogJob, "", now + firstAfterMs);
}

/** What has rows or events to hand over. */
type Queue = { backlog(): number };

/** The reports to the catalog. */
export class BacklogReports implements Feature {
  readonly tables = {};
  readonly steps = {};
  readonly jobs = { [backlogJob]: { atDeletion: "drained", run: () => this.#tell() } } as const;

  readonly #host: LedgerHost;
  readonly #queues: { outbox: Queue; events: Queue };

  constructor(host: LedgerHost, queues: { outbox: Queue; events: Queue }) {
    this.#host = host;
    this.#queues = queues;
  }

  /** Tells the catalog what is left to hand over, and again later until that is nothing. */
  async #tell(): Promise<void> {
    const { env, storage, due, clock, name } = this.#host;
    const { outbox, events } = this.#queues;
    const backlog = { replica: outbox.backlog(), events: events.backlog() };
    await catalogStub(env).putBacklog(name(), backlog);
    const isOver = backlog.replica === 0 && backlog.events === 0;
    transaction(storage, (tx) => {
      if (isOver) due.clear(tx, backlogJob, "");
      else due.set(tx, backlogJob, "", clock.now() + againAfterMs);
    });
  }
}
