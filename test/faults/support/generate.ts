/** Random programs. */
import fc from "fast-check";
import type { ManifestPlan, Program, Step } from "./program.ts";
import {
  faultyChange,
  outages,
  rebirth,
  renewal,
  repeatedAdoption,
  shortLife,
  slowMove,
} from "./random-scenarios.ts";
import {
  adminStep,
  leaveUploadStep,
  manifestCount,
  platformStep,
  pushImageStep,
  readStep,
  togetherStep,
  writeStep,
} from "./random-steps.ts";

const steps: fc.Arbitrary<Step[]> = fc.oneof(
  { weight: 4, arbitrary: alone(writeStep) },
  { weight: 3, arbitrary: alone(pushImageStep) },
  { weight: 6, arbitrary: faultyChange },
  { weight: 1, arbitrary: shortLife },
  { weight: 1, arbitrary: renewal },
  { weight: 2, arbitrary: rebirth },
  { weight: 1, arbitrary: repeatedAdoption },
  { weight: 1, arbitrary: alone(togetherStep) },
  { weight: 1, arbitrary: slowMove },
  { weight: 1, arbitrary: outages },
  { weight: 1, arbitrary: alone(leaveUploadStep) },
  { weight: 1, arbitrary: alone(adminStep) },
  { weight: 3, arbitrary: alone(readStep) },
  { weight: 5, arbitrary: alone(platformStep) },
);

function alone(step: fc.Arbitrary<Step>): fc.Arbitrary<Step[]> {
  return step.map((each) => [each]);
}

const manifestPlan: fc.Arbitrary<ManifestPlan> = fc.record({
  kind: fc.constantFrom("image" as const, "image" as const, "index" as const),
  references: fc.array(fc.constantFrom(0, 1, 1, 2, 3, 4), { minLength: 1, maxLength: 3 }),
  subject: fc.option(fc.nat(20), { freq: 2 }),
});

/** Programs of at most this many steps. */
export function programs(maxSteps: number): fc.Arbitrary<Program> {
  return fc.record({
    settings: fc.record({
      graceSeconds: fc.constantFrom(60, 300),
      deleteDelaySeconds: fc.constantFrom(0, 30, 3600),
    }),
    manifests: fc.array(manifestPlan, { minLength: manifestCount, maxLength: manifestCount }),
    steps: fc
      .tuple(
        fc.array(steps, { minLength: 4, maxLength: maxSteps, size: "max" }),
        // What was broken beside a step's own subject, the last look finds, before anything heals.
        fc.constantFrom([], [], [{ do: "look around" } as const]),
      )
      .map(([each, last]) => [...each.flat().slice(0, maxSteps - 1), ...last]),
  });
}
