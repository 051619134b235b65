/** Reports the counts of an isolate to the catalog, which adds up those of all isolates. */
import type { Env } from "../bindings.ts";
import { meter, reportEveryMs } from "../metrics/meter.ts";
import { openDiskSpace } from "../storage/disk-space.ts";
import { catalogStub, searchStub } from "./stubs.ts";

/**
 * Reports the counts since the last report, without uploads that have not been open for long enough. A report that may
 * not have arrived is sent again before the next one.
 */
export async function reportCounts(env: Env, now: number, openForMs = 0): Promise<void> {
  // The counts wait in memory until the disk has room.
  if (await openDiskSpace(env)?.isDire()) return;
  const reports = meter.take(now, openForMs);
  for (const [index, report] of reports.entries()) {
    try {
      await catalogStub(env).addCounts(report, now);
      if (report.pulls.length > 0)
        await searchStub(env)
          ?.addPulls(report.pulls, now)
          .catch(() => {});
    } catch {
      meter.untake(reports.slice(index));
      return;
    }
  }
}

/** Reports the counts if a report is due. The caller does not wait for it. */
export function reportIfDue(env: Env, now: number, waitUntil: (promise: Promise<void>) => void): void {
  if (meter.isReportDue(now, reportEveryMs)) waitUntil(reportCounts(env, now, reportEveryMs));
}
