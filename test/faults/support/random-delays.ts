/** Random sequences of steps in which calls are under way for long, or come twice, while others overtake them. */
import fc from "fast-check";
import {
  type DelayedCall,
  delayedCalls,
  type FaultEffect,
  mostBehindSeconds,
  type PlatformStep,
  type Step,
  type WriteStep,
} from "./program.ts";
import { at, blob, leaveUploadStep, manifest, pushImageStep, way, written } from "./random-steps.ts";

const runAlarms: Step = { do: "run alarms", of: "all", how: "due" };

function delay(target: DelayedCall, effect: FaultEffect, skip = 0): Step {
  return { do: "fault", fault: { target, effect, skip, times: 1 } };
}

/** Around a lease, and around what waits for one. */
const seconds = fc.constantFrom(2, 20, 45, 70, 130);

const pause: fc.Arbitrary<Step[]> = fc.oneof(
  fc.constant<Step[]>([]),
  fc.constant<Step[]>([runAlarms]),
  seconds.map((each): Step[] => [{ do: "advance", seconds: each }]),
  seconds.map((each): Step[] => [{ do: "advance", seconds: each }, runAlarms]),
);

/** A call that is delayed, or comes twice, somewhere in a program. */
export const delayedCall: fc.Arbitrary<Step> = fc
  .record({
    target: fc.constantFrom(...delayedCalls),
    effect: fc.constantFrom<FaultEffect[]>("held", "answer held", "again", "late"),
    skip: fc.constantFrom(0, 0, 1),
  })
  .map(({ target, effect, skip }) => delay(target, effect, skip));

/** What is under way arrives. */
export const letGoStep: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("let go" as const),
  of: fc.constantFrom<(DelayedCall | "all")[]>("all", "all", ...delayedCalls),
});

/** What a push calls. */
const ofPush: DelayedCall[] = [
  "LEDGERS.linkBlob",
  "LEDGERS.linkBlob",
  "BLOB_SHARDS.adopt",
  "BLOB_SHARDS.doom",
  "r2.head",
  "r2.put",
];

const push = { ...written, blob, way, pauseSeconds: fc.constant(0) };

/** A blob that is given up and pushed again, while the calls of the one and of the other overtake each other. */
export const crossing: fc.Arbitrary<Step[]> = fc
  .record({
    where: fc.record(push),
    image: manifest,
    release: fc.constantFrom<FaultEffect[]>("held", "held", "again", "late"),
    ofPush: fc.constantFrom(...ofPush),
    pushEffect: fc.constantFrom<FaultEffect[]>("held", "held", "answer held"),
    holdsEffect: fc.constantFrom<FaultEffect[]>("answer held", "answer held", "held"),
    pauses: fc.tuple(pause, pause, pause),
    order: fc.boolean(),
  })
  .map(({ where, image, pauses: [first, second, third], order, ...effects }) => {
    const pushBlob: WriteStep = { do: "push blob", ...where };
    const { repository, at, watched } = where;
    const manifestPut: Step = {
      do: "push image",
      repository,
      at,
      manifest: image,
      tag: 0,
      way: where.way,
      watched,
    };
    const arrivals: Step[] = [{ do: "let go", of: effects.ofPush }, manifestPut];
    return [
      pushBlob,
      { do: "delete blob", repository, at, watched, blob: where.blob },
      delay("BLOB_SHARDS.release", effects.release),
      runAlarms,
      delay(effects.ofPush, effects.pushEffect),
      pushBlob,
      delay("LEDGERS.holds", effects.holdsEffect),
      { do: "let go", of: "BLOB_SHARDS.release" },
      runAlarms,
      ...first,
      ...(order ? arrivals : []),
      ...second,
      { do: "let go", of: "LEDGERS.holds" },
      ...(order ? [] : arrivals),
      ...third,
    ];
  });

/** A push whose link comes when its lease is over or nearly, by one clock or another; then it is relied on. */
export const lateLink: fc.Arbitrary<Step[]> = fc
  .record({
    where: fc.record(push),
    image: pushImageStep,
    seconds: fc.constantFrom(45, 60, 70),
    effect: fc.constantFrom<FaultEffect[]>("held", "held", "held", "answer held", "late"),
  })
  .map(({ where, image, seconds, effect }) => [
    delay("LEDGERS.linkBlob", effect),
    { do: "push blob", ...where },
    { do: "advance", seconds },
    runAlarms,
    { do: "let go", of: "LEDGERS.linkBlob" },
    { ...image, repository: where.repository },
    { do: "advance", seconds: 45 },
    runAlarms,
    runAlarms,
    { do: "pull blob", repository: where.repository, at: where.at, blob: where.blob },
  ]);

/** A link that comes when its ledger has said that it holds nothing, and whose upload's object has died meanwhile. */
export const orphanedLink: fc.Arbitrary<Step[]> = fc
  .record({ leave: leaveUploadStep, seconds: fc.constantFrom(60, 70) })
  .map(({ leave, seconds }) => {
    const { repository, at, blob } = leave;
    return [
      delay("LEDGERS.linkBlob", "held"),
      { ...leave, isClosed: true, isCancelled: false },
      { do: "evict", of: "UPLOADS" },
      { do: "advance", seconds },
      { do: "collect now" },
      { do: "let go", of: "LEDGERS.linkBlob" },
      { do: "pull blob", repository, at, blob },
    ];
  });

/** A ledger's word that it gave a blob up, which its shard hears when the blob is there again. */
export const oldAnswer: fc.Arbitrary<Step[]> = fc
  .record({
    image: pushImageStep,
    where: fc.record(push),
    effect: fc.constantFrom<FaultEffect[]>("answer held", "answer held", "held"),
    between: pause,
  })
  .map(({ image, where, effect, between }) => {
    const { repository, at, watched, blob } = where;
    return [
      { do: "push blob", ...where },
      { do: "delete blob", repository, at, watched, blob },
      { do: "advance", seconds: 70 },
      delay("LEDGERS.holds", effect),
      runAlarms,
      // The shard hears of the deletion by one alarm, and asks by the next.
      runAlarms,
      { ...image, repository },
      ...between,
      { do: "let go", of: "LEDGERS.holds" },
    ];
  });

/** A push, one call of which is under way for longer than its lease, or comes once more. */
export const slowPush: fc.Arbitrary<Step[]> = fc
  .record({
    where: fc.record(push),
    call: fc.constantFrom(...ofPush),
    effect: fc.constantFrom<FaultEffect[]>("held", "answer held", "again", "late"),
    pauses: fc.tuple(pause, pause),
    isDeleted: fc.boolean(),
  })
  .map(({ where, call, effect, pauses: [first, second], isDeleted }) => {
    const { pauseSeconds: _, way: _way, ...what } = where;
    return [
      delay(call, effect),
      { do: "push blob", ...where },
      ...first,
      ...(isDeleted ? [{ do: "delete blob", ...what } as const] : []),
      ...second,
      { do: "let go", of: "all" },
    ];
  });

/**
 * A push that is answered when somebody else's manifest has come for its blob and was deleted, and no grace is left; or
 * whose object has died, so that it is repeated.
 */
export const lateAnswer: fc.Arbitrary<Step[]> = fc
  .record({
    image: pushImageStep,
    seconds: fc.constantFrom(0, 0, 70),
    isDeleted: fc.boolean(),
    isEvicted: fc.boolean(),
  })
  .map(({ image, seconds, isDeleted, isEvicted }) => {
    const { repository, at, watched, manifest, tag } = image;
    const target = { repository, at, watched };
    const put: Step = { do: "put manifest", ...target, manifest, tag };
    return [
      delay("LEDGERS.linkBlob", "answer held"),
      image,
      // From elsewhere: where the blobs are is not remembered here.
      { ...put, at: at === 0 ? 1 : 0 },
      { do: "delete manifest", ...target, manifest, at: at === 0 ? 1 : 0 },
      ...(isDeleted ? [{ do: "delete blob", ...target, blob: 1 } as const] : []),
      { do: "advance", seconds },
      { do: "collect now" },
      ...(isEvicted ? [{ do: "evict", of: "UPLOADS" } as const] : []),
      { do: "let go", of: "all" },
      put,
    ];
  });

/** An image, a call of whose push comes once more when it is there. */
export const repeatedCall: fc.Arbitrary<Step[]> = fc
  .record({
    push: pushImageStep,
    call: fc.constantFrom<DelayedCall[]>("BLOB_SHARDS.doom", "BLOB_SHARDS.adopt", "LEDGERS.linkBlob"),
    effect: fc.constantFrom<FaultEffect[]>("again", "late"),
    after: pause,
  })
  .map(({ push, call, effect, after }) => [delay(call, effect), push, ...after, { do: "let go", of: "all" }]);

/** An upload that is cancelled when its closing did not come to anything that its client heard of. */
export const cancelledClosing: fc.Arbitrary<Step[]> = fc
  .record({
    leave: leaveUploadStep,
    call: fc.constantFrom<DelayedCall[]>("r2.put", "r2.put", "r2.complete", "BLOB_SHARDS.adopt"),
    effect: fc.constantFrom<FaultEffect[]>("late", "lost", "held", "answer held"),
    isEvicted: fc.boolean(),
    after: pause,
  })
  .map(({ leave, call, effect, isEvicted, after }) => [
    delay(call, effect),
    { ...leave, isClosed: true },
    ...(isEvicted ? [{ do: "evict", of: "UPLOADS" } as const] : []),
    ...after,
    { do: "let go", of: "all" },
  ]);

/** The clocks of ledgers jump, back or ahead. */
export const ledgerClocks: fc.Arbitrary<PlatformStep> = fc.record({
  do: fc.constant("set ledger clocks" as const),
  behindSeconds: fc.constantFrom(0, 10, mostBehindSeconds),
});

/** A mount, or a push of what is there, whose shard asks or is told late. */
export const slowMount: fc.Arbitrary<Step[]> = fc
  .record({
    push: pushImageStep,
    blob,
    at,
    call: fc.constantFrom<DelayedCall[]>("LEDGERS.linkBlob", "BLOB_SHARDS.lease", "r2.head"),
    effect: fc.constantFrom<FaultEffect[]>("held", "answer held", "again"),
    pauses: fc.tuple(pause, pause),
  })
  .map(({ push, blob, at, call, effect, pauses: [first, second] }) => [
    push,
    delay(call, effect),
    {
      do: "mount",
      repository: push.repository === 0 ? 1 : 0,
      at,
      watched: true,
      blob,
      from: push.repository,
    },
    ...first,
    { do: "delete manifest", repository: push.repository, at, watched: true, manifest: push.manifest },
    ...second,
    { do: "let go", of: "all" },
  ]);
