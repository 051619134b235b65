/** Random programs. */
import fc from "fast-check";
import {
  type AdminStep,
  type AlarmWay,
  type Fault,
  type FaultEffect,
  type FaultTarget,
  type LeaveUploadStep,
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
const manifestCount = 3;

/** Most in one, so that programs meet what they made. */
const repository = fc.constantFrom(0, 0, 0, repositoryCount - 1);
const at = fc.constantFrom(0 as const, 1 as const);
const blob = fc.constantFrom(0, 1, 1, ...Array.from({ length: blobCount }, (_, index) => index));
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
const written = { ...target, watched: fc.boolean() };

const writeStep: fc.Arbitrary<WriteStep> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("push blob" as const),
      ...written,
      blob,
      way,
      pauseSeconds: fc.constantFrom(0, 0, 40),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("mount" as const),
      ...written,
      blob,
      from: fc.option(repository, { freq: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("put manifest" as const),
      ...written,
      manifest,
      tag: fc.option(tag, { freq: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete tag" as const), ...written, tag }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete manifest" as const), ...written, manifest }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete blob" as const), ...written, blob }) },
);

const pushImageStep: fc.Arbitrary<PushImageStep> = fc.record({
  do: fc.constant("push image" as const),
  ...written,
  manifest,
  tag,
  way,
});

const tagPull = { ...target, tag, as: fc.constantFrom("reader" as const, "pusher" as const) };

const togetherStep: fc.Arbitrary<TogetherStep> = fc.record({
  do: fc.constant("together" as const),
  writes: fc.array(writeStep, { minLength: 2, maxLength: 4 }),
  pulls: fc.array(fc.record(tagPull), { maxLength: 4 }),
});

const leaveUploadStep: fc.Arbitrary<LeaveUploadStep> = fc.record({
  do: fc.constant("leave upload" as const),
  ...target,
  blob,
  isCancelled: fc.boolean(),
});

const adminStep: fc.Arbitrary<AdminStep> = fc.record({
  do: fc.constantFrom("collect" as const, "scrub" as const, "look around" as const),
});

const readStep: fc.Arbitrary<ReadStep> = fc.oneof(
  fc.record({
    do: fc.constant("pull tag" as const),
    ...tagPull,
  }),
  fc.record({ do: fc.constant("pull manifest" as const), ...target, manifest }),
  fc.record({ do: fc.constant("pull blob" as const), ...target, blob }),
  fc.record({ do: fc.constant("ask for blob" as const), ...target, blob }),
  fc.record({ do: fc.constant("list tags" as const), ...target }),
  fc.record({ do: fc.constant("list referrers" as const), ...target, manifest }),
);

const objectEffects: FaultEffect[] = [
  "fail",
  "lost",
  "overloaded",
  "evict",
  "cut",
  "evict after",
  "slow",
  "stall",
  "time out",
];
const storeEffects: FaultEffect[] = ["fail", "lost", "late", "slow", "stall", "time out"];

function effectsOf(target: FaultTarget): FaultEffect[] {
  return target.startsWith("r2.") || target.startsWith("kv.") ? storeEffects : objectEffects;
}

/** A fault of one of these targets. */
function faultOf(targets: FaultTarget[]): fc.Arbitrary<Fault> {
  return fc.constantFrom(...targets).chain((chosen) =>
    fc.record({
      target: fc.constant(chosen),
      effect: fc.constantFrom(...effectsOf(chosen)),
      skip: fc.constantFrom(0, 0, 0, 1, 2, 4),
      // One is hidden by the registry's own second try, two are not, many are an outage.
      times: fc.constantFrom(1, 2, 2, 6),
    }),
  );
}

/** What fails by itself, whoever calls it: reads, and what alarms do. */
const fault = faultOf([
  "REPOSITORY",
  "BLOB_SHARDS",
  "kv.get",
  "kv.put",
  "kv.delete",
  "r2.get",
  "r2.delete",
  "r2.abort",
]);

const platformFault: fc.Arbitrary<PlatformStep> = fc.record({ do: fc.constant("fault" as const), fault });

const platformStep: fc.Arbitrary<PlatformStep> = fc.oneof(
  { weight: 2, arbitrary: platformFault },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("heal" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("run alarms" as const),
      of: group,
      how: fc.constantFrom<AlarmWay[]>("due", "due", "due", "early", "twice", "cut", "never"),
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

/** What each change calls, so that its faults are not in vain. */
const targetsOf: Record<WriteStep["do"] | "push image", FaultTarget[]> = {
  "push blob": [
    "REPOSITORY",
    "BLOB_SHARDS",
    "UPLOAD",
    "r2.head",
    "r2.put",
    "r2.createMultipartUpload",
    "r2.uploadPart",
    "r2.complete",
  ],
  mount: ["REPOSITORY", "BLOB_SHARDS", "r2.head"],
  "put manifest": ["REPOSITORY", "CATALOG", "kv.put"],
  "push image": ["REPOSITORY", "BLOB_SHARDS", "UPLOAD", "r2.put", "r2.head", "kv.put", "kv.put"],
  "delete tag": ["REPOSITORY", "kv.delete"],
  "delete manifest": ["REPOSITORY", "REPOSITORY", "kv.delete"],
  "delete blob": ["REPOSITORY", "kv.delete"],
};

/** A change that goes wrong somewhere, more likely than not. */
const faultyChange: fc.Arbitrary<Step[]> = fc
  .oneof({ weight: 3, arbitrary: writeStep }, { weight: 2, arbitrary: pushImageStep })
  .chain((change) => faultOf(targetsOf[change.do]).map((fault) => [{ do: "fault", fault }, change]));

/** An image whose rows in the replica are late or fail, and which is soon deleted. */
const shortLife: fc.Arbitrary<Step[]> = fc
  .tuple(pushImageStep, faultOf(["kv.put"]), fc.constantFrom(0, 2, 20), at)
  .map(([push, fault, seconds, other]) => [
    { do: "fault", fault },
    push,
    { do: "heal" },
    { do: "advance", seconds },
    { do: "delete manifest", repository: push.repository, manifest: push.manifest, at: other, watched: true },
  ]);

/** A blob that nothing references, which somebody asks for, or pushes again, when most of its grace is over. */
const renewal: fc.Arbitrary<Step[]> = fc
  .record({ ...written, blob, way, seconds: fc.constantFrom(35, 45), isPushed: fc.boolean() })
  .map(({ seconds, isPushed, way: pushWay, ...what }) => [
    { do: "push blob", ...what, way: pushWay, pauseSeconds: 0 },
    { do: "advance", seconds },
    isPushed ? { do: "push blob", ...what, way: pushWay, pauseSeconds: 0 } : { do: "ask for blob", ...what },
    { do: "advance", seconds: 27 },
    { do: "run alarms", of: "all", how: "due" },
    { do: "pull blob", ...what, at: what.at === 0 ? 1 : 0 },
  ]);

/** A blob that goes, and may come back under another key, while the other location remembers the first one. */
const rebirth: fc.Arbitrary<Step[]> = fc
  .record({ ...written, blob: fc.constantFrom(1, 3), way, isBack: fc.boolean() })
  .map(({ way: pushWay, isBack, ...what }) => {
    const push: Step = { do: "push blob", ...what, way: pushWay, pauseSeconds: 0 };
    const pull: Step = { do: "pull blob", ...what, at: what.at === 0 ? 1 : 0 };
    const runAlarms: Step = { do: "run alarms", of: "all", how: "due" };
    const oneLease: Step[] = [{ do: "advance", seconds: 45 }, pull, { do: "delete blob", ...what }];
    const ending = isBack ? [push, pull] : [pull];
    return [push, ...oneLease, { do: "advance", seconds: 20 }, runAlarms, runAlarms, ...ending];
  });

const steps: fc.Arbitrary<Step[]> = fc.oneof(
  { weight: 4, arbitrary: alone(writeStep) },
  { weight: 3, arbitrary: alone(pushImageStep) },
  { weight: 6, arbitrary: faultyChange },
  { weight: 1, arbitrary: shortLife },
  { weight: 1, arbitrary: renewal },
  { weight: 1, arbitrary: rebirth },
  { weight: 1, arbitrary: alone(togetherStep) },
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
      .array(steps, { minLength: 4, maxLength: maxSteps, size: "max" })
      .map((each) => each.flat().slice(0, maxSteps)),
  });
}
