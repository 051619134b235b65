/** Starts the Worker that runs programs, and runs random ones. */
import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import fc from "fast-check";
import { buildWorker } from "../../../src/local/workerd/bundle.ts";
import { type Instance, startInstance } from "../../support/miniflare/instance.ts";
import { type FaultKind, faultKinds, programs } from "./generate.ts";
import type { Program, Verdict } from "./program.ts";
import { type Replacement, replacing } from "./replacing.ts";

/** Parts of uploads may be smaller than R2's least, so that blobs of a few kilobytes have several. */
const smallParts: Replacement = {
  file: "src/settings/table.ts",
  from: "size(5 * mebibyte,",
  to: "size(1024,",
};

/** The runtime's timers go by the machine's clock, and the hours of a program take less than that. */
const outcomesAtOnce: Replacement = {
  file: "src/objects/upload.ts",
  from: "const outcomeDelayMs = 250;",
  to: "const outcomeDelayMs = 0;",
};

/** Holders are asked about each lease, and not once an hour: so programs of minutes meet what may come of it. */
const soonAsked: Replacement = {
  file: "src/objects/blob-shard/holders.ts",
  from: "60 * settings.leaseMs",
  to: "settings.leaseMs",
};

/** The runtime's timers go by the machine's clock: a run of retention would leave it idle most of the time. */
const noPause: Replacement = {
  file: "src/objects/ledger/retention.ts",
  from: "const pauseMs = 25;",
  to: "const pauseMs = 0;",
};

/** Programs have three tags: the first that a run would remove, it waits to be confirmed for. */
const confirmsAll: Replacement = {
  file: "src/objects/ledger/retention.ts",
  from: "const fewTags = 10;",
  to: "const fewTags = 0;",
};

/** The runtime's timers go by the machine's clock: a client of an upstream waits for moments, not for seconds. */
const impatient: Replacement[] = [
  {
    file: "src/settings/table.ts",
    from: '    duration(100, 600 * second),\n    "how long an upstream',
    to: '    duration(10, 600 * second),\n    "how long an upstream',
  },
  {
    file: "src/objects/upstream/connection.ts",
    from: "{ attempts: 2, firstPauseMs: 200, maxPauseMs: 1000 }",
    to: "{ attempts: 2, firstPauseMs: 1, maxPauseMs: 1 }",
  },
  {
    file: "src/objects/fetch/receiver.ts",
    from: "const pauseMs = second;",
    to: "const pauseMs = 2 + 0 * second;",
  },
];

/** A running harness. */
export type Harness = AsyncDisposable & { run(program: Program): Promise<Verdict> };

/** How much of what the runtime said last is told when it has died, in characters. */
const lastWordsLength = 2_000;

/** Where a system keeps files in memory. Objects write to disk otherwise, which takes half the time. */
const memoryDirectory = "/dev/shm";

/** Builds what harnesses run; `bugs` are replacements in the registry's sources. */
export function buildHarness(bugs: Replacement[] = []): Promise<string> {
  const entry = join(import.meta.dirname, "entry.ts");
  const always = [smallParts, outcomesAtOnce, soonAsked, noPause, confirmsAll, ...impatient];
  return buildWorker({ entry, plugins: [replacing([...always, ...bugs])] });
}

/** Starts one, with a text of {@link buildHarness}. */
export async function startHarness(script: string): Promise<Harness> {
  // An object that is evicted says so on stderr; what the registry itself logs is in the trace.
  let lastWords = "";
  const stderr = new Writable({
    write: (chunk, _encoding, done) => {
      lastWords = (lastWords + chunk).slice(-lastWordsLength);
      done();
    },
  });
  // Miniflare asks the system where temporary files go.
  if (existsSync(memoryDirectory)) process.env.TMPDIR = memoryDirectory;
  const onRestart = () => {
    lastWords += "\nIt ended by itself, and was started again.";
  };
  const instance: Instance = await startInstance({ script, stderr, onRestart });
  return {
    run: async (program) => {
      // A kept connection may be closed just as the next program is sent on it.
      const headers = { Connection: "close" };
      const request = fetch(instance.url, { method: "POST", headers, body: JSON.stringify(program) });
      const response = await request.catch((cause) => {
        throw new Error(`the runtime does not answer; its last words: ${lastWords}`, { cause });
      });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as Verdict;
    },
    [Symbol.asyncDispose]: () => instance.dispose(),
  };
}

/** What many programs came to. */
export type Outcome = {
  programs: number;
  requests: number;
  faults: number;
  /** The first broken promise, with the seed, and the smallest program that was found to break one. */
  violation?: string;
  /** That program. */
  breaking?: Program;
};

/**
 * Which programs: `count` of those of a seed, of about `maxSteps` steps, made smaller if they break a promise. `only`:
 * with faults of these kinds alone.
 */
export type RunOptions = {
  seed: number;
  count: number;
  maxSteps: number;
  only?: FaultKind[];
  shrink?: boolean;
  deadline?: number;
};

/** The kinds of faults of a text such as `delays,damage`; `undefined`: all of them. */
export function parseFaultKinds(text: string | undefined): FaultKind[] {
  const kinds = text?.split(",") ?? [...faultKinds];
  return kinds.map((kind) => {
    const known = faultKinds.find((each) => each === kind);
    if (known === undefined) throw new Error(`${kind} is none of ${faultKinds.join(", ")}`);
    return known;
  });
}

/** A seed that nobody chose. */
export function newSeed(): number {
  return randomInt(2 ** 31);
}

/**
 * Runs random programs until the deadline, or until one breaks a promise. Harnesses, each of which is a thread of the
 * runtime, share them: the first has the programs of the seed, the second those of the next one.
 */
export async function runPrograms(
  harnesses: Harness[],
  { seed, count, ...options }: RunOptions,
): Promise<Outcome> {
  const share = Math.ceil(count / harnesses.length);
  const outcomes = await Promise.all(
    harnesses.map((harness, index) => runShare(harness, { ...options, seed: seed + index, count: share })),
  );
  const sum = (field: "programs" | "requests" | "faults") =>
    outcomes.reduce((total, outcome) => total + outcome[field], 0);
  const { violation, breaking } = outcomes.find((outcome) => outcome.violation !== undefined) ?? {};
  return {
    programs: sum("programs"),
    requests: sum("requests"),
    faults: sum("faults"),
    ...(violation === undefined ? {} : { violation }),
    ...(breaking === undefined ? {} : { breaking }),
  };
}

async function runShare(harness: Harness, options: RunOptions): Promise<Outcome> {
  const outcome: Outcome = { programs: 0, requests: 0, faults: 0 };
  const { seed, count, maxSteps, only, shrink = true, deadline } = options;
  let last: Failure | undefined;
  const property = fc.asyncProperty(programs(maxSteps, only), async (program) => {
    const verdict = await harness.run(program);
    if (last === undefined) outcome.programs++;
    outcome.requests += verdict.requests;
    outcome.faults += verdict.faults;
    if (verdict.violation === undefined) return true;
    last = { verdict, program };
    return false;
  });
  const { failed, errorInstance } = await fc.check(property, {
    seed,
    numRuns: count,
    endOnFailure: !shrink,
    ...(deadline === undefined ? {} : { interruptAfterTimeLimit: deadline - Date.now() }),
  });
  if (failed && last === undefined) throw errorInstance;
  if (last !== undefined && shrink) last = await withFewerSteps(harness, last);
  if (last === undefined) return outcome;
  return { ...outcome, violation: describeViolation(seed, outcome.programs, last), breaking: last.program };
}

type Failure = { verdict: Verdict; program: Program };

/** Leaves out each step without which a promise is broken as well: sequences that belong together were kept whole. */
async function withFewerSteps(harness: Harness, failure: Failure): Promise<Failure> {
  let smallest = failure;
  for (let index = failure.program.steps.length - 1; index >= 0; index--) {
    const program = { ...smallest.program, steps: smallest.program.steps.toSpliced(index, 1) };
    const verdict = await harness.run(program);
    if (verdict.violation !== undefined) smallest = { verdict, program };
  }
  return smallest;
}

function describeViolation(seed: number, number: number, { verdict, program }: Failure): string {
  return [
    verdict.violation,
    `program ${number} of seed ${seed}, made smaller: ${JSON.stringify(program)}`,
    ...verdict.trace,
  ].join("\n");
}
