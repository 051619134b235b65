/**
 * Runs long random programs for as long as it is told to, or a number of them: `npm run test:soak -- --minutes N`,
 * `--programs N`, and `--seed N` to begin as another run did.
 */
import { parseArgs } from "node:util";
import { newSeed, type Outcome, runPrograms, startHarness } from "./support/harness.ts";

const maxSteps = 40;

/** Objects of programs that have ended keep some memory: now and then the runtime starts anew. */
const programsAHarness = 250;

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    programs: { type: "string" },
    seed: { type: "string" },
  },
});
const seed = values.seed === undefined ? newSeed() : Number(values.seed);
const wanted = values.programs === undefined ? Number.POSITIVE_INFINITY : Number(values.programs);
const defaultMinutes = values.programs === undefined ? 10 : Number.POSITIVE_INFINITY;
const deadline =
  Date.now() + (values.minutes === undefined ? defaultMinutes : Number(values.minutes)) * 60_000;

console.log(`seed ${seed}`);
const total: Outcome = { programs: 0, requests: 0, faults: 0 };
for (let round = 0; total.programs < wanted && Date.now() < deadline; round++) {
  await using harness = await startHarness();
  const count = Math.min(programsAHarness, wanted - total.programs);
  const outcome = await runPrograms(harness, { seed: seed + round, count, maxSteps, deadline });
  total.programs += outcome.programs;
  total.requests += outcome.requests;
  total.faults += outcome.faults;
  console.log(`${total.programs} programs, ${total.requests} requests, ${total.faults} faults`);
  if (outcome.violation !== undefined) {
    console.log(`broken, by a program of seed ${seed + round}: ${outcome.violation}`);
    process.exitCode = 1;
    break;
  }
}
