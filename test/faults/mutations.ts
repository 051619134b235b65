/**
 * Shows that random programs can see: each of several bugs, put into a copy of the sources, must be found within 200
 * programs with faults of its kind. `npm run test:mutations [-- --seed N] [--only WORDS]`: those with these words alone
 */
import { parseArgs } from "node:util";
import { bugs } from "./support/bugs.ts";
import { type FaultKind, faultKinds } from "./support/generate.ts";
import { newSeed, runPrograms, startHarness } from "./support/harness.ts";
import type { Replacement } from "./support/replacing.ts";

const maxPrograms = 200;
const maxSteps = 25;

const { values } = parseArgs({
  options: { seed: { type: "string" }, only: { type: "string", default: "" } },
});
const seed = values.seed === undefined ? newSeed() : Number(values.seed);
console.log(`seed ${seed}`);
for (const kind of faultKinds) {
  for (const [name, bug] of Object.entries(bugs[kind])) {
    if (name.includes(values.only)) await find(kind, name, [bug].flat());
  }
}

async function find(kind: FaultKind, name: string, bug: Replacement[]): Promise<void> {
  await using harness = await startHarness(bug);
  const { programs, violation } = await runPrograms([harness], {
    seed,
    count: maxPrograms,
    maxSteps,
    only: [kind],
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
