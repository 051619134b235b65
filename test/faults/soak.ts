/**
 * Runs long random programs for as long as it is told to, or a number of them: `npm run test:soak -- --minutes N`,
 * `--programs N`, `--steps N` for their length (40), `--seed N` to begin as another run did, and `--only delays,damage`
 * for faults of some kinds alone.
 */
import { parseArgs } from "node:util";
import {
  buildHarness,
  newSeed,
  type Outcome,
  parseFaultKinds,
  runPrograms,
  startHarness,
} from "./support/harness.ts";

/** Objects of programs that have ended keep some memory: now and then the runtime starts anew. */
const programsARound = 500;

/** One more than the gate's machine has processors: a program waits for the runtime's timers a tenth of the time. */
const harnessesAtOnce = 3;

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    programs: { type: "string" },
    seed: { type: "string" },
    steps: { type: "string", default: "40" },
    only: { type: "string" },
  },
});
const seed = values.seed === undefined ? newSeed() : Number(values.seed);
const only = parseFaultKinds(values.only);
const maxSteps = Number(values.steps);
const wanted = values.programs === undefined ? Number.POSITIVE_INFINITY : Number(values.programs);
const defaultMinutes = values.programs === undefined ? 10 : Number.POSITIVE_INFINITY;
const deadline =
  Date.now() + (values.minutes === undefined ? defaultMinutes : Number(values.minutes)) * 60_000;

console.log(`seed ${seed}`);
const script = await buildHarness();
const total: Outcome = { programs: 0, requests: 0, faults: 0 };
const startedAt = performance.now();
for (let round = 0; total.programs < wanted && Date.now() < deadline; round++) {
  const harnesses = await Promise.all(Array.from({ length: harnessesAtOnce }, () => startHarness(script)));
  const count = Math.min(programsARound, wanted - total.programs);
  const options = { seed: seed + round * harnessesAtOnce, count, maxSteps, only, deadline };
  const { programs, requests, faults, violation } = await runPrograms(harnesses, options);
  await Promise.all(harnesses.map((harness) => harness[Symbol.asyncDispose]()));
  total.programs += programs;
  total.requests += requests;
  total.faults += faults;
  const rate = (total.programs * 1000) / (performance.now() - startedAt);
  const counts = `${total.programs} programs, ${total.requests} requests, ${total.faults} faults`;
  console.log(`seed ${options.seed}: ${counts}, ${rate.toFixed(2)} programs a second`);
  if (violation !== undefined) {
    console.log(`a promise was broken: ${violation}`);
    process.exitCode = 1;
    break;
  }
}
