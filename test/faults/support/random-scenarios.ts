/** Random sequences of steps that lead to where things go wrong; single steps seldom get there. */
import fc from "fast-check";
import { type FaultEffect, type FaultTarget, type Step, tagCount, type WriteStep } from "./program.ts";
import { faultOf } from "./random-faults.ts";
import { at, blob, manifest, pushImageStep, way, writeStep, written } from "./random-steps.ts";

/** What each change calls, so that its faults are not in vain. */
const targetsOf: Record<WriteStep["do"] | "push image", FaultTarget[]> = {
  "push blob": [
    "LEDGERS",
    "NAME_INDEX",
    "BLOB_SHARDS",
    "UPLOADS",
    "r2.head",
    "r2.put",
    "r2.createMultipartUpload",
    "r2.uploadPart",
    "r2.complete",
  ],
  mount: ["LEDGERS", "BLOB_SHARDS", "r2.head"],
  "put manifest": ["LEDGERS", "NAME_INDEX", "CATALOG", "kv.put"],
  "push image": ["LEDGERS", "NAME_INDEX", "BLOB_SHARDS", "UPLOADS", "r2.put", "r2.head", "kv.put", "kv.put"],
  "delete tag": ["LEDGERS", "kv.delete"],
  "delete manifest": ["LEDGERS", "LEDGERS", "kv.delete"],
  "delete blob": ["LEDGERS", "kv.delete"],
};

/** A change that goes wrong somewhere, more likely than not. */
export const faultyChange: fc.Arbitrary<Step[]> = fc
  .oneof({ weight: 3, arbitrary: writeStep }, { weight: 2, arbitrary: pushImageStep })
  .chain((change) => faultOf(targetsOf[change.do]).map((fault) => [{ do: "fault", fault }, change]));

/** An image that is looked for at the other location, which has not asked for its name, while the index fails. */
export const lostIndex: fc.Arbitrary<Step[]> = fc
  .record({
    push: pushImageStep,
    effect: fc.constantFrom<FaultEffect[]>("fail", "lost", "overloaded", "cut", "time out"),
    times: fc.constantFrom(1, 2, 6),
    as: fc.constantFrom("reader" as const, "pusher" as const),
  })
  .map(({ push, effect, times, as }) => {
    const { repository, tag, manifest } = push;
    const other = { repository, at: push.at === 0 ? (1 as const) : (0 as const) };
    return [
      { ...push, watched: false },
      { do: "restart location", at: other.at },
      { do: "fault", fault: { target: "NAME_INDEX", effect, skip: 0, times } },
      { do: "pull tag", ...other, tag, as },
      { do: "pull manifest", ...other, manifest },
    ];
  });

/** A repository that is deleted and restored, while others push to it, delete, and time passes. */
export const undoneDeletion: fc.Arbitrary<Step[]> = fc
  .record({
    push: pushImageStep,
    before: fc.array(writeStep, { maxLength: 1 }),
    meanwhile: fc.array(fc.oneof(writeStep, pushImageStep), { maxLength: 2 }),
    // Around the grace time and what isolates remember.
    seconds: fc.constantFrom(0, 0, 20, 45, 70),
    collected: fc.constantFrom<Step[]>(
      [],
      [],
      [{ do: "run alarms", of: "all", how: "due" }],
      [{ do: "collect now" }],
    ),
    fault: fc.option(faultOf(["LEDGERS", "LEDGERS", "CATALOG", "kv.delete", "kv.put"]), { freq: 2 }),
    isRestored: fc.constantFrom(true, true, true, false),
  })
  .map(({ push, before, meanwhile, seconds, collected, fault, isRestored }) => {
    const { repository } = push;
    const inIt = <S extends { repository: number }>(step: S): S => ({ ...step, repository });
    const remove: Step = { do: "delete repository", repository, at: push.at };
    const restore: Step = { do: "restore repository", repository, at: push.at === 0 ? 1 : 0 };
    const broken: Step[] = fault === null ? [] : [{ do: "fault", fault }];
    return [
      push,
      ...before.map(inIt),
      ...broken,
      remove,
      ...meanwhile.map(inIt),
      { do: "advance", seconds },
      ...collected,
      ...(isRestored ? [restore] : []),
    ];
  });

/** An image whose rows in the replica are late or fail, and which is soon deleted. */
export const shortLife: fc.Arbitrary<Step[]> = fc
  .tuple(pushImageStep, faultOf(["kv.put"]), fc.constantFrom(0, 2, 20), at)
  .map(([push, fault, seconds, other]) => [
    { do: "fault", fault },
    push,
    { do: "heal" },
    { do: "advance", seconds },
    { do: "delete manifest", repository: push.repository, manifest: push.manifest, at: other, watched: true },
  ]);

/** A push whose bytes are taken over by their shard twice, as the first answer was lost. */
export const repeatedAdoption: fc.Arbitrary<Step[]> = fc
  .record({
    push: fc.record({
      do: fc.constant("push blob" as const),
      ...written,
      blob,
      way,
      pauseSeconds: fc.constant(0),
    }),
    effect: fc.constantFrom<FaultEffect[]>("lost", "time out", "cut"),
  })
  .map(({ push, effect }) => {
    // What is sent as a whole calls the shard once before that.
    const skip = push.way === "post" || push.way === "post and put" ? 1 : 0;
    return [{ do: "fault", fault: { target: "BLOB_SHARDS", effect, skip, times: 1 } }, push];
  });

/** A blob that nothing references, which somebody asks for, or pushes again, when most of its grace is over. */
export const renewal: fc.Arbitrary<Step[]> = fc
  .record({ ...written, blob, way, seconds: fc.constantFrom(35, 45), isPushed: fc.boolean() })
  .map(({ seconds, isPushed, way: pushWay, ...what }) => [
    { do: "push blob", ...what, way: pushWay, pauseSeconds: 0 },
    { do: "advance", seconds },
    isPushed ? { do: "push blob", ...what, way: pushWay, pauseSeconds: 0 } : { do: "ask for blob", ...what },
    { do: "advance", seconds: 27 },
    { do: "run alarms", of: "all", how: "due" },
    { do: "pull blob", ...what, at: what.at === 0 ? 1 : 0 },
  ]);

/**
 * A blob that is pushed once more before the manifest is deleted which has it, and may be tagged before that, and all
 * grace is ended.
 */
export const endedGrace: fc.Arbitrary<Step[]> = fc
  .record({
    push: pushImageStep,
    blob,
    way,
    seconds: fc.constantFrom(0, 200),
    isTagged: fc.boolean(),
    later: fc.constantFrom(0, 70),
  })
  .map(({ push, blob: again, way: pushWay, seconds, isTagged, later }) => {
    const { repository, at: place, manifest: image, tag } = push;
    const target = { repository, at: place, watched: true };
    const putAgain: Step[] = isTagged ? [{ do: "put manifest", ...target, manifest: image, tag }] : [];
    return [
      push,
      { do: "advance", seconds },
      { do: "push blob", ...target, blob: again, way: pushWay, pauseSeconds: 0 },
      ...putAgain,
      { do: "delete manifest", ...target, manifest: image },
      // Longer than any lease: what else keeps it is seen.
      { do: "advance", seconds: isTagged ? 70 : later },
      { do: "collect now" },
      { do: "pull blob", repository, blob: again, at: place === 0 ? 1 : 0 },
    ];
  });

/** A blob that goes, and may come back under another key, while the other location remembers the first one. */
export const rebirth: fc.Arbitrary<Step[]> = fc
  .record({ ...written, blob: fc.constantFrom(1, 3), way, isBack: fc.boolean() })
  .map(({ way: pushWay, isBack, ...what }) => {
    const push: Step = { do: "push blob", ...what, way: pushWay, pauseSeconds: 0 };
    const pull: Step = { do: "pull blob", ...what, at: what.at === 0 ? 1 : 0 };
    const runAlarms: Step = { do: "run alarms", of: "all", how: "due" };
    const oneLease: Step[] = [{ do: "advance", seconds: 45 }, pull, { do: "delete blob", ...what }];
    const ending = isBack ? [push, pull] : [pull];
    return [push, ...oneLease, { do: "advance", seconds: 20 }, runAlarms, runAlarms, ...ending];
  });

/** A tag that moves to what was pushed before, beside other writes, while the ledger's answers are slow. */
export const slowMove: fc.Arbitrary<Step[]> = fc
  .record({
    push: pushImageStep,
    moveTo: manifest,
    as: fc.constantFrom("reader" as const, "pusher" as const),
    others: fc.array(writeStep, { maxLength: 2 }),
    effect: fc.constantFrom("slow" as const, "slow answer" as const),
    skip: fc.constantFrom(0, 0, 1, 2),
    times: fc.constantFrom(1, 2, 6),
  })
  .map(({ push, moveTo, as, others, ...fault }) => {
    const { repository, at, tag, watched } = push;
    const move: WriteStep = { do: "put manifest", repository, at, manifest: moveTo, tag, watched };
    return [
      push,
      { ...push, manifest: moveTo, tag: (tag + 1) % tagCount },
      { do: "fault", fault: { target: "LEDGERS", ...fault } },
      { do: "together", writes: [move, ...others], pulls: [{ repository, at, tag, as }] },
    ];
  });

/** A tag that moves between two outages of its ledger, while a location sees the replica late. */
export const outages: fc.Arbitrary<Step[]> = fc
  .record({ push: pushImageStep, moveTo: manifest })
  .map(({ push, moveTo }) => {
    const { repository, tag } = push;
    const pull: Step = { do: "pull tag", repository, at: push.at === 0 ? 1 : 0, tag, as: "reader" };
    const outage: Step = {
      do: "fault",
      fault: { target: "LEDGERS", effect: "overloaded", skip: 0, times: 1 },
    };
    const move: Step = { ...push, manifest: moveTo };
    return [push, { do: "advance", seconds: 2 }, outage, pull, move, pull, outage, pull];
  });
