/** What a scraper that leaves takes with it: nothing. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Context } from "../../src/edge/context.ts";
import { metrics } from "../../src/edge/endpoints/metrics.ts";

test("the report that a scraper asks for goes on without it", () => {
  const reporting = new Promise<void>(() => {});
  const goingOn: Promise<unknown>[] = [];
  const registry = { reportCounts: () => reporting };
  const waitUntil = (work: Promise<unknown>) => goingOn.push(work);
  void metrics({ registry, waitUntil } as unknown as Context);
  assert.deepEqual(goingOn, [reporting]);
});
