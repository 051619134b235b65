/**
 * How what an isolate counted reaches the catalog, which has the sum of all isolates.
 */
import type { Env } from "../env.ts";
import { meter } from "../metrics/meter.ts";
import { catalogStub } from "./stubs.ts";

/** Reports what was counted since the last report. What cannot be reported now is counted with the next one. */
export async function reportCounts(env: Env, now: number): Promise<void> {
  const report = meter.take(now);
  if (Object.values(report).every((part) => part.length === 0)) return;
  try {
    await catalogStub(env).addCounts(report, now);
  } catch {
    meter.untake(report);
  }
}

/** How often an isolate reports what is not rare, at most. */
const reportEveryMs = 30_000;

/** Lets what was counted reach the catalog where that is due, in nobody's way. */
export function reportIfDue(env: Env, now: number, waitUntil: (promise: Promise<void>) => void): void {
  if (meter.isReportDue(now, reportEveryMs)) waitUntil(reportCounts(env, now));
}
