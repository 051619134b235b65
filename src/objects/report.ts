/**
 * How what an isolate counted reaches the catalog, which has the sum of all isolates.
 */
import type { Env } from "../env.ts";
import { meter } from "../metrics/meter.ts";
import { catalogStub } from "./stubs.ts";

/** Reports what was counted since the last report. What cannot be reported now is counted with the next one. */
export async function reportCounts(env: Env, now: number): Promise<void> {
  const report = meter.take(now);
  if (report.counters.length === 0 && report.pulls.length === 0) return;
  try {
    await catalogStub(env).addCounts(report, now);
  } catch {
    meter.untake(report);
  }
}
