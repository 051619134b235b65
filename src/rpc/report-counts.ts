/**
 * How what an isolate counted reaches the catalog, which has the sum of all isolates.
 */
import type { Env } from "../bindings.ts";
import { meter, reportEveryMs } from "../metrics/meter.ts";
import { openDiskSpace } from "../storage/disk-space.ts";
import { catalogStub } from "./stubs.ts";

/**
 * Reports what was counted since the last report, but for uploads that were not open for so long yet. What may not have
 * arrived is reported again, before the next one.
 */
export async function reportCounts(env: Env, now: number, openForMs = 0): Promise<void> {
  // They wait in memory for a disk that has room.
  if (await openDiskSpace(env)?.isDire()) return;
  const reports = meter.take(now, openForMs);
  for (const [index, report] of reports.entries()) {
    try {
      await catalogStub(env).addCounts(report, now);
    } catch {
      meter.untake(reports.slice(index));
      return;
    }
  }
}

/** Lets what was counted reach the catalog where that is due, in nobody's way. */
export function reportIfDue(env: Env, now: number, waitUntil: (promise: Promise<void>) => void): void {
  if (meter.isReportDue(now, reportEveryMs)) waitUntil(reportCounts(env, now, reportEveryMs));
}
