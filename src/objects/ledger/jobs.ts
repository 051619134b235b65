/**
 * What a ledger does by its alarm: a job for each kind of row in its `due` table, in the order in which one leads to
 * the next.
 */
import type { Env } from "../../bindings.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { DueJob } from "../due.ts";
import { scrubJob } from "../scrub/report.ts";
import type { Tx } from "../sql.ts";
import { announceJob } from "./announce.ts";
import { backlogJob, tellBacklog } from "./backlog.ts";
import { unlinkJob } from "./blob-link-store.ts";
import { eventsJob } from "./events.ts";
import { forgetLeases, forgetLeasesJob } from "./leases.ts";
import { forgetSessions, forgetSessionsJob, release, unlinkUnused } from "./links.ts";
import { removeUntagged } from "./manifests.ts";
import { lostBatchJob, outboxJob } from "./outbox.ts";
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
  transaction: (change: (tx: Tx) => void) => void,
): Record<string, DueJob> {
  const { outbox, writer, events, trash, due, settings } = parts;
  return {
    [lostBatchJob]: async (rows) =>
      transaction((tx) =>
        outbox.recover(
          tx,
          rows.map(({ id }) => id),
        ),
      ),
    [outboxJob]: () => writer.flush(name),
    [announceJob]: announce,
    [rereadJob]: async (rows) => {
      transaction((tx) => rereadBatch(tx, parts, rows));
      // Others come in between, and the platform's clock goes on.
      await scheduler.wait(0);
    },
    [untaggedScanJob]: async (rows) => transaction((tx) => scanUntagged(tx, parts, rows)),
    [untaggedJob]: async (rows) => transaction((tx) => removeUntagged(tx, parts, name, rows)),
    [purgeJob]: async (rows) =>
      transaction((tx) => {
        for (const { id } of rows) {
          trash.purge(tx, id);
          due.clear(tx, purgeJob, id);
        }
      }),
    [unlinkJob]: async (rows) => transaction((tx) => unlinkUnused(tx, parts, name, rows)),
    release: (rows) => release(env, parts, name, rows),
    [forgetSessionsJob]: async (rows) => transaction((tx) => forgetSessions(tx, parts, rows)),
    [forgetLeasesJob]: async () => transaction((tx) => forgetLeases(tx, parts)),
    [historyJob]: async () => transaction((tx) => forgetHistory(tx, parts)),
    [scrubJob]: (rows) =>
      due.scrub(rows, settings.scrubEveryMs, (after) => scrubLedger(env, parts, name, after)),
    [rebuildJob]: async (rows) => transaction((tx) => markPage(tx, parts, rows)),
    [eventsJob]: () => events.flush(name),
    // After those that it speaks of.
    [backlogJob]: () => tellBacklog(env, name, parts),
  };
}
