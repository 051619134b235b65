import assert from "node:assert/strict";
import { after, test } from "node:test";
import { newSeed, runPrograms, startHarness } from "./support/harness.ts";

const harness = await startHarness();
after(() => harness[Symbol.asyncDispose]());

/** `FAULTS_SEED` runs again what another run printed. */
const seed = Number(process.env.FAULTS_SEED ?? newSeed());

test("no random program with faults breaks a promise", async (t) => {
  t.diagnostic(`seed ${seed}: repeat it with FAULTS_SEED`);
  const { violation, programs, requests, faults } = await runPrograms(harness, {
    seed,
    count: 150,
    maxSteps: 12,
  });
  t.diagnostic(`${programs} programs, ${requests} requests, ${faults} faults`);
  assert.equal(violation, undefined, `seed ${seed}: ${violation}`);
  assert(faults > programs / 2, "calls went wrong");
});
