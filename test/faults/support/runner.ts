/** Runs a program, and says whether a promise was broken. */
import { administrate } from "./admin.ts";
import { drain } from "./drain.ts";
import { police } from "./policing.ts";
import type { PlatformStep, Program, PushImageStep, Step, Verdict } from "./program.ts";
import { read } from "./reads.ts";
import { changeRepository } from "./repositories.ts";
import { Run, Violation } from "./run.ts";
import { actTogether } from "./together.ts";
import { useUpstream } from "./upstream-pulls.ts";
import { advanceClock, type World } from "./world.ts";
import { leaveUpload, write } from "./writes.ts";

/** How long a program may go without a call of a binding, in milliseconds of the machine's time, which may be busy. */
const patienceMs = 60_000;

/** How often that long it may take in all. Most programs take a third of a second. */
const mostPatience = 10;

/** Runs a program in its world, to the end or to the first broken promise. */
export async function runProgram(
  world: World,
  program: Program,
  waitUntil: (promise: Promise<unknown>) => void,
): Promise<Verdict> {
  const run = new Run(world, program, waitUntil);
  let violation: string | undefined;
  const running = new AbortController();
  const losesPatience = losePatience(world, running.signal);
  try {
    await Promise.race([runSteps(run, program), losesPatience]);
  } catch (error) {
    violation = error instanceof Violation ? error.message : String((error as Error).stack);
  }
  losesPatience.catch(() => {});
  running.abort();
  world.faults.delayed.end();
  const { trace, faults } = world;
  return {
    ...(violation === undefined ? {} : { violation }),
    trace,
    requests: run.clients.requests,
    faults: faults.fired.length,
  };
}

/** Throws when a program does nothing any more, or goes on for ever. */
async function losePatience({ faults }: World, signal: AbortSignal): Promise<never> {
  let activity = -1;
  for (let waited = 0; waited < mostPatience && faults.activity !== activity; waited++) {
    activity = faults.activity;
    await scheduler.wait(patienceMs, { signal });
  }
  throw new Violation("something does not end");
}

async function runSteps(run: Run, { steps }: Program): Promise<void> {
  for (const step of steps) {
    run.world.trace.push(JSON.stringify(step));
    await runStep(run, step);
    run.eachModel((model) => model.retentionMayRun());
    await run.takeInAnswers();
  }
  await drain(run);
}

async function runStep(run: Run, step: Step): Promise<void> {
  switch (step.do) {
    case "push blob":
    case "mount":
    case "put manifest":
    case "delete tag":
    case "delete manifest":
    case "delete blob":
      return write(run, step);
    case "delete repository":
    case "restore repository":
      return changeRepository(run, step);
    case "put policies":
    case "confirm run":
    case "hold tag":
    case "release tag":
    case "restore tag":
    case "restore manifest":
      return police(run, step);
    case "upstream fails":
    case "upstream moves tag":
    case "pull upstream tag":
    case "pull upstream manifest":
    case "pull upstream blob":
    case "evict upstream":
    case "delete cache":
      // What is damaged of a blob is repaired by who pushed it.
      return run.damage.isAny ? undefined : useUpstream(run, step);
    case "push image":
      return pushImage(run, step);
    case "leave upload":
      return leaveUpload(run, step);
    case "collect":
    case "collect now":
    case "scrub":
    case "reindex":
    case "look around":
      return administrate(run, step);
    case "together":
      return actTogether(run, step);
    case "pull tag":
    case "pull manifest":
    case "pull blob":
    case "leave pull":
    case "ask for blob":
    case "list tags":
    case "list referrers":
      return read(run, step);
    default:
      return change(run, step);
  }
}

/** What the platform does by itself. */
async function change(run: Run, step: PlatformStep): Promise<void> {
  const { objects, faults, kv } = run.world;
  switch (step.do) {
    case "run alarms": {
      await faults.slowCallsEnd();
      if (step.how === "due") return objects.runDueAlarms(step.of);
      return objects.runAlarms(step.of, step.how);
    }
    case "advance":
      await faults.slowCallsEnd();
      await faults.delayed.clockMovesTo(Date.now() + step.seconds * 1000);
      return advanceClock(step.seconds * 1000);
    case "evict":
      return objects.crash(step.of);
    case "restart location":
      return run.restart(step.at);
    case "set lag":
      return kv.setLag(step.at, step.seconds * 1000);
    case "set ledger clocks":
      run.world.ledgersBehindSeconds = step.behindSeconds;
      return;
    case "damage blob":
      // What nobody has verified and adopted yet is nobody's loss.
      if (!run.isUnanswered && !run.isCacheUsed) run.damage.damageBlob(run, step.blob, step.how);
      return;
    case "damage row":
      return run.damage.damageRow(run, step.repository, step.manifest, step.how);
    case "fault":
      return faults.arm(step.fault);
    case "let go":
      return faults.delayed.letGo(step.of);
    case "heal":
      run.world.bucket.heal();
      return faults.heal();
  }
}

/** Pushes what an image needs, and then itself, each part as a step of its own. */
async function pushImage(
  run: Run,
  { manifest, tag, way, ...where }: Omit<PushImageStep, "do">,
): Promise<void> {
  const { kind, references } = run.manifest(manifest);
  for (const each of references) {
    if (kind === "index") {
      await pushImage(run, { ...where, manifest: each, tag, way });
    } else if (run.model(where.repository).blob(each) !== "yes") {
      await write(run, { ...where, do: "push blob", blob: each, way, pauseSeconds: 0 });
    }
  }
  await write(run, { ...where, do: "put manifest", manifest, tag });
}
