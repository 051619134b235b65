/** Random sequences of steps in which clients pull through the cache of an upstream that fails. */
import fc from "fast-check";
import {
  type FaultTarget,
  heldCalls,
  type Step,
  tagCount,
  type UpstreamFault,
  type UpstreamStep,
  upstreamFaults,
} from "./program.ts";
import { faultOf } from "./random-faults.ts";
import { at, blob, manifest, pushImageStep } from "./random-steps.ts";

const tag = fc.nat(tagCount - 1);

const pullBlob = fc.record({
  do: fc.constant("pull upstream blob" as const),
  at,
  blob,
  clients: fc.constantFrom(1, 1, 2, 3),
  leaves: fc.boolean(),
});

const pullTag = fc.record({ do: fc.constant("pull upstream tag" as const), at, tag });

const fails: fc.Arbitrary<UpstreamStep> = fc.record({
  do: fc.constant("upstream fails" as const),
  fault: fc.constantFrom<UpstreamFault>(...upstreamFaults),
  of: fc.constantFrom("any" as const, "blobs" as const, "blobs" as const, "manifests" as const),
  // One connection is hidden by the next one, many are an outage.
  times: fc.constantFrom(1, 1, 2, 6),
});

/** Something that happens to an upstream or its cache. */
export const upstreamStep: fc.Arbitrary<UpstreamStep> = fc.oneof(
  { weight: 3, arbitrary: pullBlob },
  { weight: 2, arbitrary: pullTag },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pull upstream manifest" as const), at, manifest }) },
  { weight: 2, arbitrary: fails },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("upstream moves tag" as const), tag, manifest }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("evict upstream" as const), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete cache" as const), at }) },
);

/** What a fetch calls. */
const ofFetch: FaultTarget[] = [
  "FETCHES",
  "FETCHES",
  "UPSTREAM_STATES",
  "LEDGERS",
  "BLOB_SHARDS",
  "NAME_INDEX",
  "r2.put",
  "r2.createMultipartUpload",
  "r2.uploadPart",
  "r2.complete",
];

/** A blob that is fetched in spite of the upstream, of the objects and of who goes away; then again. */
export const troubledFetch: fc.Arbitrary<Step[]> = fc
  .record({
    fails: fc.array(fails, { minLength: 1, maxLength: 2 }),
    fault: fc.option(faultOf(ofFetch), { freq: 1 }),
    first: pullBlob,
    between: fc.constantFrom<Step[]>(
      [],
      [{ do: "evict", of: "FETCHES" }],
      [{ do: "evict", of: "UPSTREAM_STATES" }],
      [{ do: "delete cache", at: 0 }],
      [{ do: "evict upstream", at: 0 }],
      [
        { do: "evict", of: "FETCHES" },
        { do: "advance", seconds: 20 },
        { do: "run alarms", of: "FETCHES", how: "due" },
      ],
    ),
    isDescribed: fc.boolean(),
    seconds: fc.constantFrom(0, 2, 70, 400),
  })
  .map(({ fails: failing, fault, first, between, isDescribed, seconds }) => [
    ...(isDescribed ? [{ do: "pull upstream tag", at: first.at, tag: 0 } as const] : []),
    ...failing,
    ...(fault === null ? [] : [{ do: "fault", fault } as const]),
    first,
    ...between,
    { do: "advance", seconds },
    { ...first, leaves: false },
  ]);

/** A blob that is pushed here and fetched, in either order, and given up here. */
export const pushedAndFetched: fc.Arbitrary<Step[]> = fc
  .record({
    push: pushImageStep,
    pull: pullBlob,
    isFirst: fc.boolean(),
    isDeleted: fc.boolean(),
    fault: fc.option(faultOf(ofFetch), { freq: 1 }),
  })
  .map(({ push, pull, isFirst, isDeleted, fault }) => {
    const { repository, at: where, manifest: image } = push;
    return [
      ...(fault === null ? [] : [{ do: "fault", fault } as const]),
      ...(isFirst ? [push, pull] : [pull, push]),
      ...(isDeleted
        ? [{ do: "delete manifest", repository, at: where, watched: false, manifest: image } as const]
        : [{ do: "evict upstream", at: where } as const]),
      { do: "collect now" },
      { ...pull, leaves: false },
    ];
  });

/** A call of a fetch that is under way while what it is about is evicted, deleted or moved, and others ask for it, too. */
export const heldFetch: fc.Arbitrary<Step[]> = fc
  .record({
    call: fc.constantFrom(...heldCalls.filter((call) => call !== "CATALOG.policies")),
    effect: fc.constantFrom("held" as const, "answer held" as const),
    skip: fc.constantFrom(0, 0, 1),
    pull: fc.oneof(pullBlob, pullTag),
    meanwhile: fc.array(upstreamStep, { minLength: 1, maxLength: 3 }),
    isEvicted: fc.constantFrom(false, false, true),
    seconds: fc.constantFrom(0, 45, 70),
  })
  .map(({ call, effect, skip, pull, meanwhile, isEvicted, seconds }) => [
    { do: "fault", fault: { target: call, effect, skip, times: 1 } },
    pull,
    ...meanwhile,
    ...(isEvicted ? [{ do: "evict", of: "FETCHES" } as const] : []),
    { do: "advance", seconds },
    { do: "let go", of: "all" },
    pull,
  ]);

/** A tag that moves upstream while it is asked for, or while nobody answers. */
export const movedUpstream: fc.Arbitrary<Step[]> = fc
  .record({
    pull: pullTag,
    to: manifest,
    failing: fc.option(fails, { freq: 1 }),
    fault: fc.option(faultOf(ofFetch), { freq: 1 }),
    seconds: fc.constantFrom(2, 45, 70),
  })
  .map(({ pull, to, failing, fault, seconds }) => [
    pull,
    { do: "upstream moves tag", tag: pull.tag, manifest: to },
    { do: "advance", seconds },
    ...(failing === null ? [] : [failing]),
    ...(fault === null ? [] : [{ do: "fault", fault } as const]),
    pull,
    { ...pull, at: pull.at === 0 ? 1 : 0 },
  ]);
