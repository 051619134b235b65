/** How properties are run: how often, and by which seed. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import fc, { type IAsyncPropertyWithHooks } from "fast-check";

const cases = Number(process.env.CASES ?? 1000);
// One for all properties of a process, as each finds the registry as those before it left it.
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Runs a property: `share` runs for each case that is asked for. It says by which seed it ran, also where it holds. */
export async function runs<T>(
  t: TestContext,
  share: number,
  property: IAsyncPropertyWithHooks<T>,
): Promise<void> {
  const numRuns = Math.max(1, Math.round(cases * share));
  const details = await fc.check(property, { numRuns, seed });
  t.diagnostic(`${details.numRuns} runs; for the same again: SEED=${seed} CASES=${cases}`);
  if (!details.failed) return;
  const why = details.errorInstance instanceof Error ? details.errorInstance.stack : details.errorInstance;
  assert.fail(`${await fc.asyncDefaultReportMessage(details)}\n${why}`);
}
