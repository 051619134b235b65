/**
 * Shows that random programs can see: each of several bugs, put into a copy of the sources, must be found within 200
 * programs. `npm run test:mutations [-- --seed N]`
 */
import { parseArgs } from "node:util";
import { bugs } from "./support/bugs.ts";
import { newSeed, runPrograms, startHarness } from "./support/harness.ts";

const maxPrograms = 200;
const maxSteps = 25;

const { values } = parseArgs({ options: { seed: { type: "string" } } });
const seed = values.seed === undefined ? newSeed() : Number(values.seed);
console.log(`seed ${seed}`);
for (const [name, bug] of Object.entries(bugs)) {
  await using harness = await startHarness([bug]);
  const { programs, violation } = await runPrograms([harness], {
    seed,
    count: maxPrograms,
    maxSteps,
    shrink: false,
  });
  const [promise = ""] = violation?.split("\n") ?? [];
  if (violation === undefined) process.exitCode = 1;
  console.log(
    violation === undefined
      ? `NOT FOUND in ${programs} programs: ${name}`
      : `found by program ${programs}: ${name}\n    ${promise}`,
  );
}
