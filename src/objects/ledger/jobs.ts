/**
 * What a ledger does by its alarm: a job for each kind of row in its `due` table, in the order in which one leads to
 * the next.
 */
import type { Env } from "../../bindings.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { DueJob } from "../due.ts";
import { scrubJob } from "../scrub/report.ts";
import { announceJob } from "./announce.ts";
import { backlogJob, tellBacklog } from "./backlog.ts";
import { unlinkJob } from "./blob-link-store.ts";
import { eventsJob } from "./events.ts";
import { flightJob } from "./flights.ts";
import { forgetLeases, forgetLeasesJob } from "./leases.ts";
import { forgetSessions, forgetSessionsJob, release, unlinkUnused } from "./links.ts";
import { removeUntagged } from "./manifests.ts";
import { outboxJob } from "./outbox.ts";
import type { LedgerParts } from "./parts.ts";
import { markPage, rebuildJob } from "./rebuild.ts";
import { rereadBatch, rereadJob } from "./reread.ts";
import { scrubLedger } from "./scrub.ts";
import { forgetHistory } from "./tag-history.ts";
import { historyJob } from "./tag-store.ts";
import { purgeJob } from "./trash-store.ts";
import { scanUntagged, untaggedJob, untaggedScanJob } from "./untagged.ts";

/** The jobs. `announce` tells the catalog; `transaction` runs one. */
export function ledgerJobs(
  env: Env,
  parts: LedgerParts,
  name: RepositoryName,
  announce: () => Promise<void>,
  transaction: (change: () => void) => void,
): Record<string, DueJob> {
  const { outbox, events, trash, due, settings } = parts;
  return {
    [flightJob]: async (rows) => transaction(() => outbox.rescue(rows.map(({ id }) => id))),
    [outboxJob]: () => outbox.flush(name),
    [announceJob]: announce,
    [rereadJob]: async (rows) => {
      transaction(() => rereadBatch(parts, rows));
      // Others come in between, and the platform's clock goes on.
      await scheduler.wait(0);
    },
    [untaggedScanJob]: async (rows) => transaction(() => scanUntagged(parts, rows)),
    [untaggedJob]: async (rows) => transaction(() => removeUntagged(parts, name, rows)),
    [purgeJob]: async (rows) =>
      transaction(() => {
        for (const { id } of rows) {
          trash.purge(id);
          due.clear(purgeJob, id);
        }
      }),
    [unlinkJob]: async (rows) => transaction(() => unlinkUnused(parts, name, rows)),
    release: (rows) => release(env, parts, name, rows),
    [forgetSessionsJob]: async (rows) => transaction(() => forgetSessions(parts, rows)),
    [forgetLeasesJob]: async () => transaction(() => forgetLeases(parts)),
    [historyJob]: async () => transaction(() => forgetHistory(parts)),
    [scrubJob]: (rows) =>
      due.scrub(rows, settings.scrubEveryMs, (after) => scrubLedger(env, parts, name, after)),
    [rebuildJob]: async (rows) => transaction(() => markPage(parts, rows)),
    [eventsJob]: () => events.flush(name),
    // After those that it speaks of.
    [backlogJob]: () => tellBacklog(env, name, parts),
  };
}
