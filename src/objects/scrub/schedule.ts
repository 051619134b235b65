/** The scrub that an object does by itself, a piece at a time, as a job of its `due` table. */
import type { Clock } from "../../clock.ts";
import { logFindings, type ScrubStep, scrubJob, scrubPauseMs } from "../../rpc/scrub-report.ts";
import type { Settings } from "../../settings/settings.ts";
import type { DueRow, DueTable } from "../due.ts";
import { type TransactionalStorage, type Tx, transaction } from "../sql.ts";

/** What an object has for its scrub. */
type Scrubbed = {
  storage: TransactionalStorage;
  clock: Clock;
  due: DueTable;
  settings: Pick<Settings, "scrubEveryMs">;
};

/**
 * Schedules the scrub, unless it is scheduled, and not for later than it would be now, or turned off. To be called when
 * there is first something to scrub; and when the object is constructed, as the setting may have changed since, or be new
 * to this release.
 */
export function scheduleScrub(tx: Tx, { due, clock, settings }: Omit<Scrubbed, "storage">): void {
  const everyMs = settings.scrubEveryMs;
  if (everyMs === undefined) return;
  const at = clock.now() + everyMs;
  if (!due.has(scrubJob) || (due.at(scrubJob, "") ?? 0) > at) due.set(tx, scrubJob, "", at);
}

/** Does the pieces that are due, logs what they find, and schedules the piece after each. */
export async function runScrub(
  { storage, clock, due, settings }: Scrubbed,
  rows: DueRow[],
  step: (after: string) => Promise<ScrubStep>,
): Promise<void> {
  const everyMs = settings.scrubEveryMs;
  for (const { id } of rows) {
    const done = everyMs === undefined ? undefined : await step(id);
    if (done !== undefined) logFindings(done.report);
    transaction(storage, (tx) => {
      due.clear(tx, scrubJob, id);
      const next = done?.next;
      if (next !== undefined) due.set(tx, scrubJob, next, clock.now() + scrubPauseMs);
      else if (everyMs !== undefined) due.set(tx, scrubJob, "", clock.now() + everyMs);
    });
  }
}
