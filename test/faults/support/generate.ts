/** Random programs. */
import fc from "fast-check";
import {
  type Fault,
  type FaultEffect,
  type FaultTarget,
  type ManifestPlan,
  type PlatformStep,
  type Program,
  type PushImageStep,
  type ReadStep,
  repositoryCount,
  type Step,
  type TogetherStep,
  tagCount,
  type WriteStep,
} from "./program.ts";

const blobCount = 5;
const manifestCount = 4;

const repository = fc.nat(repositoryCount - 1);
const at = fc.constantFrom(0 as const, 1 as const);
const blob = fc.nat(blobCount - 1);
const manifest = fc.nat(manifestCount - 1);
const tag = fc.nat(tagCount - 1);
const way = fc.constantFrom(
  "post" as const,
  "post and put" as const,
  "streamed" as const,
  "chunked" as const,
);
const group = fc.constantFrom(
  "all" as const,
  "REPOSITORY" as const,
  "BLOB_SHARDS" as const,
  "UPLOAD" as const,
);

const target = { repository, at };

const writeStep: fc.Arbitrary<WriteStep> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("push blob" as const),
      ...target,
      blob,
      way,
      pauseSeconds: fc.constantFrom(0, 0, 40),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("mount" as const), ...target, blob, from: repository }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("put manifest" as const),
      ...target,
      manifest,
      tag: fc.option(tag, { freq: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete tag" as const), ...target, tag }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete manifest" as const), ...target, manifest }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete blob" as const), ...target, blob }) },
);

const pushImageStep: fc.Arbitrary<PushImageStep> = fc.record({
  do: fc.constant("push image" as const),
  ...target,
  manifest,
  tag,
  way,
});

const togetherStep: fc.Arbitrary<TogetherStep> = fc.record({
  do: fc.constant("together" as const),
  writes: fc.array(writeStep, { minLength: 2, maxLength: 4 }),
});

const readStep: fc.Arbitrary<ReadStep> = fc.oneof(
  fc.record({
    do: fc.constant("pull tag" as const),
    ...target,
    tag,
    as: fc.constantFrom("reader" as const, "pusher" as const),
  }),
  fc.record({ do: fc.constant("pull manifest" as const), ...target, manifest }),
  fc.record({ do: fc.constant("pull blob" as const), ...target, blob }),
  fc.record({ do: fc.constant("ask for blob" as const), ...target, blob }),
  fc.record({ do: fc.constant("list tags" as const), ...target }),
  fc.record({ do: fc.constant("list referrers" as const), ...target, manifest }),
);

const objectTargets: FaultTarget[] = ["REPOSITORY", "BLOB_SHARDS", "UPLOAD", "CATALOG"];
const objectEffects: FaultEffect[] = ["fail", "lost", "overloaded", "evict", "evict after", "slow"];
const kvEffects: FaultEffect[] = ["fail", "lost", "late", "slow"];
const bucketOperations = [
  "head",
  "get",
  "put",
  "delete",
  "createMultipartUpload",
  "uploadPart",
  "complete",
  "abort",
] as const;

function faultOf(targets: FaultTarget[], effects: FaultEffect[]): fc.Arbitrary<Fault> {
  return fc.record({
    target: fc.constantFrom(...targets),
    effect: fc.constantFrom(...effects),
    skip: fc.constantFrom(0, 0, 0, 1, 2, 4),
    // One is hidden by the registry's own second try, two are not, many are an outage.
    times: fc.constantFrom(1, 2, 2, 6),
  });
}

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 4, arbitrary: faultOf(objectTargets, objectEffects) },
  { weight: 3, arbitrary: faultOf(["kv.put", "kv.delete"], kvEffects) },
  { weight: 1, arbitrary: faultOf(["kv.get"], ["fail"]) },
  {
    weight: 3,
    arbitrary: faultOf(
      bucketOperations.map((operation) => `r2.${operation}` as const),
      ["fail", "lost", "slow"],
    ),
  },
);

const platformFault: fc.Arbitrary<PlatformStep> = fc.record({ do: fc.constant("fault" as const), fault });

const platformStep: fc.Arbitrary<PlatformStep> = fc.oneof(
  { weight: 2, arbitrary: platformFault },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("heal" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("run alarms" as const),
      of: group,
      how: fc.constantFrom("due" as const, "due" as const, "early" as const, "twice" as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      // Around what is waited for: retries, isolates' memory, KV's, grace, leases.
      seconds: fc.constantFrom(2, 20, 35, 45, 70, 130, 400),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("evict" as const), of: group }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart location" as const), at }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("set lag" as const),
      at,
      seconds: fc.constantFrom(0, 5, 60),
    }),
  },
);

/** A change that goes wrong somewhere, more likely than not. */
const faultyChange: fc.Arbitrary<Step[]> = fc.tuple(
  platformFault,
  fc.oneof({ weight: 3, arbitrary: writeStep }, { weight: 1, arbitrary: pushImageStep }),
);

const steps: fc.Arbitrary<Step[]> = fc.oneof(
  { weight: 4, arbitrary: alone(writeStep) },
  { weight: 3, arbitrary: alone(pushImageStep) },
  { weight: 6, arbitrary: faultyChange },
  { weight: 1, arbitrary: alone(togetherStep) },
  { weight: 3, arbitrary: alone(readStep) },
  { weight: 5, arbitrary: alone(platformStep) },
);

function alone(step: fc.Arbitrary<Step>): fc.Arbitrary<Step[]> {
  return step.map((each) => [each]);
}

const manifestPlan: fc.Arbitrary<ManifestPlan> = fc.record({
  kind: fc.constantFrom("image" as const, "image" as const, "index" as const),
  references: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
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
      .array(steps, { minLength: 4, maxLength: maxSteps, size: "max" })
      .map((each) => each.flat().slice(0, maxSteps)),
  });
}
