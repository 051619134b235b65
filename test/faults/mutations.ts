/**
 * Shows that tests can see: each of many bugs, put into a copy of the sources, must be found within 200 random programs
 * with faults of its kind, on each seed, or by the test that is named beside it. At the end, a table says what found each.
 *
 * `npm run test:mutations [-- --seeds A,B,C] [--only WORDS]`: those with these words alone. A seed takes some minutes.
 */
import { parseArgs } from "node:util";
import { bugs } from "./support/bugs.ts";
import { bugsByTests } from "./support/bugs-by-tests.ts";
import { type FaultKind, faultKinds } from "./support/generate.ts";
import { buildHarness, newSeed, runPrograms, startHarness } from "./support/harness.ts";
import { MutatedCopy } from "./support/mutated-copy.ts";
import type { Program } from "./support/program.ts";
import type { Replacement } from "./support/replacing.ts";

const maxPrograms = 200;
const maxSteps = 25;
const withoutBug = "(without the bug as well)";

const { values } = parseArgs({
  options: { seeds: { type: "string" }, only: { type: "string", default: "" } },
});
const seeds = values.seeds?.split(",").map(Number) ?? [newSeed()];
console.log(`seeds ${seeds.join(",")}: repeat them with --seeds`);

const startedAt = performance.now();
const seconds = (since: number) => Math.round((performance.now() - since) / 1000);
const rows: string[][] = [];
let missed = 0;

function note(bug: string, found: string[], since: number): void {
  if (found.some((each) => each === "NOTHING" || each.endsWith(withoutBug))) missed++;
  rows.push([bug, found.join(", "), String(seconds(since))]);
  console.log(`${seconds(startedAt)} s: ${found.join(", ")}: ${bug}`);
}

for (const kind of faultKinds) {
  for (const [name, changes] of Object.entries(bugs[kind])) {
    if (!name.includes(values.only)) continue;
    const since = performance.now();
    note(name, await foundByPrograms(kind, [changes].flat()), since);
  }
}

const tested = Object.entries(bugsByTests).filter(([name]) => name.includes(values.only));
if (tested.length > 0) {
  await using copy = await MutatedCopy.make();
  for (const [name, { changes, file, test }] of tested) {
    const since = performance.now();
    const isFound = await copy.fails(changes, file, test);
    note(name, [isFound ? `${file.replace(/^test\//, "")}: ${test}` : "NOTHING"], since);
  }
}

console.log("\n| bug | found by program, or by the test | seconds |\n|---|---|---|");
for (const row of rows) console.log(`| ${row.join(" | ")} |`);
console.log(`${rows.length} bugs, ${missed} not found, ${seconds(startedAt)} s on ${seeds.length} seeds`);
if (missed > 0) process.exitCode = 1;

/**
 * The number of the program that finds a bug, of each seed. A program that breaks a promise without the bug as well has
 * found something else.
 */
async function foundByPrograms(kind: FaultKind, changes: Replacement[]): Promise<string[]> {
  const found: string[] = [];
  for (const seed of seeds) {
    // Objects of the programs before would keep memory.
    await using harness = await startHarness(await buildHarness(changes));
    const options = { seed, count: maxPrograms, maxSteps, only: [kind], shrink: false };
    const { programs, breaking } = await runPrograms([harness], options);
    if (breaking === undefined) found.push("NOTHING");
    else found.push((await isKept(breaking)) ? String(programs) : `${programs} ${withoutBug}`);
  }
  return found;
}

/** Whether a program breaks no promise without a bug. */
async function isKept(program: Program): Promise<boolean> {
  await using harness = await startHarness(await buildHarness());
  return (await harness.run(program)).violation === undefined;
}
