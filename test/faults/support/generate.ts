/** Random programs. */
import fc from "fast-check";
import { type ManifestPlan, mostBehindSeconds, type Program, type Step } from "./program.ts";
import { damagedBlob, damagedRow, damageStep } from "./random-damage.ts";
import {
  cancelledClosing,
  crossing,
  delayedCall,
  lateAnswer,
  lateLink,
  ledgerClocks,
  letGoStep,
  oldAnswer,
  orphanedLink,
  repeatedCall,
  slowMount,
  slowPush,
} from "./random-delays.ts";
import { contested, heldRun, policyStep, retained } from "./random-policies.ts";
import {
  endedGrace,
  faultyChange,
  lostIndex,
  outages,
  rebirth,
  renewal,
  repeatedAdoption,
  shortLife,
  slowMove,
  undoneDeletion,
} from "./random-scenarios.ts";
import {
  adminStep,
  leaveUploadStep,
  manifestCount,
  platformStep,
  pushImageStep,
  readStep,
  repositoryStep,
  togetherStep,
  writeStep,
} from "./random-steps.ts";
import {
  heldFetch,
  movedUpstream,
  pushedAndFetched,
  troubledFetch,
  upstreamStep,
} from "./random-upstreams.ts";

/**
 * Kinds of trouble: calls that fail, calls that come late or twice, stores that lose or change what they keep,
 * policies that change while others push, and upstreams that fail.
 */
export const faultKinds = ["failures", "delays", "damage", "policies", "upstreams"] as const;

export type FaultKind = (typeof faultKinds)[number];

type Weighted = { weight: number; arbitrary: fc.Arbitrary<Step[]> };

/** What clients, administrators and the platform do, each step by itself. */
const plain: Weighted[] = [
  { weight: 4, arbitrary: alone(writeStep) },
  { weight: 3, arbitrary: alone(pushImageStep) },
  { weight: 1, arbitrary: alone(togetherStep) },
  { weight: 1, arbitrary: alone(repositoryStep) },
  { weight: 1, arbitrary: undoneDeletion },
  { weight: 1, arbitrary: alone(leaveUploadStep) },
  { weight: 1, arbitrary: alone(adminStep) },
  { weight: 3, arbitrary: alone(readStep) },
  { weight: 5, arbitrary: alone(platformStep) },
];

/** What goes wrong, by its kind. */
const kinds: Record<FaultKind, Weighted[]> = {
  failures: [
    { weight: 6, arbitrary: faultyChange },
    { weight: 1, arbitrary: shortLife },
    { weight: 1, arbitrary: lostIndex },
    { weight: 1, arbitrary: renewal },
    { weight: 3, arbitrary: endedGrace },
    { weight: 2, arbitrary: rebirth },
    { weight: 1, arbitrary: repeatedAdoption },
    { weight: 2, arbitrary: slowMove },
    { weight: 1, arbitrary: outages },
  ],
  delays: [
    { weight: 2, arbitrary: alone(delayedCall) },
    { weight: 2, arbitrary: alone(letGoStep) },
    { weight: 2, arbitrary: crossing },
    { weight: 2, arbitrary: lateLink },
    { weight: 1, arbitrary: lateAnswer },
    { weight: 2, arbitrary: orphanedLink },
    { weight: 1, arbitrary: oldAnswer },
    { weight: 1, arbitrary: slowPush },
    { weight: 1, arbitrary: repeatedCall },
    { weight: 2, arbitrary: cancelledClosing },
    { weight: 1, arbitrary: slowMount },
    { weight: 1, arbitrary: alone(ledgerClocks) },
  ],
  policies: [
    { weight: 2, arbitrary: alone(policyStep) },
    { weight: 3, arbitrary: retained },
    { weight: 1, arbitrary: heldRun },
    { weight: 2, arbitrary: contested },
  ],
  upstreams: [
    { weight: 3, arbitrary: alone(upstreamStep) },
    { weight: 4, arbitrary: troubledFetch },
    { weight: 2, arbitrary: pushedAndFetched },
    { weight: 2, arbitrary: movedUpstream },
    { weight: 2, arbitrary: heldFetch },
  ],
  damage: [
    { weight: 1, arbitrary: alone(damageStep) },
    { weight: 1, arbitrary: damagedBlob },
    { weight: 1, arbitrary: damagedRow },
  ],
};

function alone(step: fc.Arbitrary<Step>): fc.Arbitrary<Step[]> {
  return step.map((each) => [each]);
}

const manifestPlan: fc.Arbitrary<ManifestPlan> = fc.record({
  kind: fc.constantFrom("image" as const, "image" as const, "index" as const),
  references: fc.array(fc.constantFrom(0, 1, 1, 2, 3, 4), { minLength: 1, maxLength: 3 }),
  subject: fc.option(fc.nat(20), { freq: 2 }),
});

/** Programs of about this many steps, in which faults of these kinds happen. */
export function programs(maxSteps: number, only: readonly FaultKind[] = faultKinds): fc.Arbitrary<Program> {
  const steps = fc.oneof(...plain, ...only.flatMap((kind) => kinds[kind]));
  return fc.record({
    settings: fc.record({
      graceSeconds: fc.constantFrom(60, 300),
      deleteDelaySeconds: fc.constantFrom(0, 30, 3600),
      scrubsItself: fc.constantFrom(false, false, false, true),
      ledgersBehindSeconds: fc.constantFrom(0, 0, mostBehindSeconds),
      isOneMachine: fc.constantFrom(false, false, true),
    }),
    manifests: fc.array(manifestPlan, { minLength: manifestCount, maxLength: manifestCount }),
    steps: fc
      .tuple(
        fc.array(steps, { minLength: 4, maxLength: maxSteps, size: "max" }),
        // What was broken beside a step's own subject, the last look finds, before anything heals.
        fc.constantFrom([], [], [{ do: "look around" } as const]),
      )
      .map(([sequences, last]) => [...first(maxSteps, sequences), ...last]),
  });
}

/** The first sequences of steps, the last of which goes on to its end. */
function first(maxSteps: number, sequences: Step[][]): Step[] {
  const taken: Step[] = [];
  for (const sequence of sequences) if (taken.length < maxSteps) taken.push(...sequence);
  return taken;
}
