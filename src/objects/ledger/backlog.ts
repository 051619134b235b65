/**
 * The backlog of a ledger: rows of the replica and events that it could not deliver yet. The ledger retries by itself.
 * It reports only failures to the catalog, for the metrics.
 */

import { catalogStub } from "../../rpc/stubs.ts";
import type { DueTable } from "../due.ts";
import { type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that reports to the catalog. As long as it is scheduled, the catalog may have a backlog of this ledger. */
const backlogJob = "backlog";

/** Failures that last less than this are not reported. */
const firstAfterMs = 10_000;
const againAfterMs = 60_000;

/** Schedules the report of a failure to the catalog. The report is empty if the failure is over by then. */
export function tellBacklogLater(tx: Tx, due: DueTable, now: number): void {
  if (due.at(backlogJob, "") === undefined) due.set(tx, backlogJob, "", now + firstAfterMs);
}

/** The features that have rows or events to deliver. */
type Queue = { backlog(): number };

/** The reports to the catalog. */
export class BacklogReports implements Feature {
  readonly tables = {};
  readonly steps = {};
  readonly jobs = { [backlogJob]: { atDeletion: "awaited", run: () => this.#tell() } } as const;

  readonly #host: LedgerHost;
  readonly #queues: { outbox: Queue; events: Queue };

  constructor(host: LedgerHost, queues: { outbox: Queue; events: Queue }) {
    this.#host = host;
    this.#queues = queues;
  }

  /** Reports the backlog to the catalog, and repeats that until the backlog is empty. */
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
