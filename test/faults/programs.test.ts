import assert from "node:assert/strict";
import { test } from "node:test";
import { after } from "../support/ends-of-files.ts";
import {
  advance,
  fault,
  largeBlob,
  letGo,
  pushBlob,
  pushImage,
  reader,
  runAlarms,
  runCase,
  smallBlob,
  writer,
} from "./support/cases.ts";
import { buildHarness, parseFaultKinds, runPrograms, startHarness } from "./support/harness.ts";
import type { Fault, Step } from "./support/program.ts";

/** A processor each. */
const script = await buildHarness();
const harnesses = await Promise.all([startHarness(script), startHarness(script)]);
after(() => Promise.all(harnesses.map((harness) => harness[Symbol.asyncDispose]())));

/**
 * Always the same programs, so that a failure is the change's: `npm run test:soak` looks for others. `FAULTS_SEED` has
 * others here, too; `FAULTS_ONLY=delays` has faults of one kind, or some, alone.
 */
const seed = Number(process.env.FAULTS_SEED ?? 1);
const only = parseFaultKinds(process.env.FAULTS_ONLY);

test("no random program with faults breaks a promise", async (t) => {
  t.diagnostic(`seed ${seed}`);
  const options = { seed, count: 50, maxSteps: 12, only };
  const { violation, programs, requests, faults } = await runPrograms(harnesses, options);
  t.diagnostic(`${programs} programs, ${requests} requests, ${faults} faults`);
  assert.equal(violation, undefined, violation);
  assert(faults > programs / 2, "calls went wrong");
});

// ── What random programs have found ──────────────────────────────────────────────────────────────────────────────

const ledgerFault = (effect: Fault["effect"], times: number) => fault("LEDGERS", effect, times);

const look: Step[] = [
  { do: "pull tag", ...reader, tag: 0, as: "reader" },
  { do: "list tags", ...reader },
  { do: "look around" },
];

const pullOfCache: Step = {
  do: "pull upstream blob",
  at: 0,
  blob: smallBlob,
  clients: 1,
  leaves: false,
};

/** A repository that is pushed at one location is found at the other at once, whatever becomes of the index. */
const ofIndex: Record<string, Step[]> = {
  "out of reach": [
    fault("NAME_INDEX", "fail", 2),
    pushImage(0),
    ...look,
    fault("NAME_INDEX", "overloaded", 2),
    ...look,
  ],
  "registered by a call whose answer was lost": [fault("NAME_INDEX.register", "lost"), pushImage(0), ...look],
  "registered by a call that takes longer than a lease": [
    fault("NAME_INDEX.register", "stall"),
    pushImage(0),
    ...look,
  ],
  "registered late": [
    fault("NAME_INDEX.register", "late"),
    pushImage(0),
    ...look,
    { do: "let go", of: "all" },
    ...look,
  ],
  "evicted while it registers": [fault("NAME_INDEX", "cut", 1, 1), pushImage(0), ...look],
  "asked before the push": [
    { do: "pull tag", ...reader, tag: 0, as: "reader" },
    { do: "pull blob", ...reader, blob: smallBlob },
    pushImage(0),
    ...look,
  ],
  "built again": [pushImage(0), { do: "reindex" }, pushImage(1, 1), ...look, runAlarms, ...look],
  "built again while the catalog fails": [
    pushImage(0),
    fault("CATALOG", "fail", 6),
    { do: "reindex" },
    runAlarms,
    pushImage(1, 1),
    ...look,
  ],
};

for (const [name, steps] of Object.entries(ofIndex)) {
  test(`a repository is found at once at another location, its index ${name}`, async () => {
    await runCase(harnesses[0], steps);
    await runCase(harnesses[0], steps, { isOneMachine: true });
  });
}

const cases: Record<string, Step[]> = {
  "an upload that is cancelled while its adoption fails leaves nothing": [
    { do: "fault", fault: { target: "BLOB_SHARDS", effect: "fail", skip: 0, times: 6 } },
    { do: "leave upload", repository: 0, at: 0, blob: 0, isClosed: true, isCancelled: true },
  ],
  "a repository with nothing due is not woken": [pushImage(0)],
  "a blob whose deletion was repeated, as its first answer was lost, is not found where that was done": [
    pushBlob(largeBlob),
    ledgerFault("lost", 1),
    { do: "delete blob", ...writer, blob: largeBlob },
  ],
  "a manifest whose deletion was repeated is not found where that was done": [
    pushImage(0),
    ledgerFault("lost", 1),
    { do: "delete manifest", ...writer, manifest: 0 },
  ],
  "a blob that is deleted, with its bytes, is unknown to who remembers where it was": [
    pushBlob(largeBlob),
    advance(45),
    { do: "pull blob", ...reader, blob: largeBlob },
    { do: "delete blob", ...writer, blob: largeBlob },
    advance(20),
    runAlarms,
    runAlarms,
    { do: "pull blob", ...reader, blob: largeBlob },
  ],
  "a blob that is deleted may be found by who asked while it was remembered, though its bytes are slow to come":
    [
      pushBlob(largeBlob),
      advance(45),
      { do: "pull blob", ...reader, blob: largeBlob },
      { do: "delete blob", ...writer, blob: largeBlob },
      advance(20),
      fault("r2.get", "stall"),
      { do: "pull blob", ...reader, blob: largeBlob },
    ],
  "a cancellation whose answer is lost is not answered by that of another": [
    fault("UPLOADS", "cut", 1, 1),
    { do: "leave upload", repository: 0, at: 0, blob: smallBlob, isClosed: false, isCancelled: true },
  ],
  "a write of bytes that lands after they were deleted leaves nothing": [
    pushBlob(smallBlob),
    fault("r2.put", "late"),
    { do: "push blob", ...writer, repository: 1, blob: smallBlob, way: "chunked", pauseSeconds: 0 },
  ],
  "a push of what is there is not refused when its adoption is repeated, and the bucket fails meanwhile": [
    pushBlob(largeBlob),
    fault("r2.head", "fail", 1, 1),
    fault("BLOB_SHARDS", "lost", 1, 1),
    pushBlob(largeBlob),
  ],
  "what is lost is put right by a push although retention may have removed it meanwhile": [
    pushImage(0, 0, 1),
    { do: "damage blob", blob: smallBlob, how: "lost" },
    { do: "put policies", at: 0, document: 2 },
    pushImage(0),
    advance(910),
    runAlarms,
    { do: "confirm run", at: 0, repository: 0 },
    pushImage(1),
    { do: "run alarms", of: "LEDGERS", how: "due" },
    { do: "restore tag", at: 0, repository: 0, tag: 1 },
    { do: "put policies", at: 0, document: 4 },
  ],
  "a scrub that cannot list the replica is to be repeated": [
    pushImage(0),
    fault("kv.list", "fail"),
    { do: "scrub" },
  ],
  "an upstream that hung while a client waited is asked again, although that was long ago by then": [
    { do: "upstream fails", fault: "hang in the middle", of: "blobs", times: 1 },
    fault("LEDGERS.blobState", "held"),
    pullOfCache,
    pullOfCache,
    letGo("all"),
    advance(200),
    advance(70),
  ],
  "a tag that was moved off a deleted manifest is found while the replica only knows its old place": [
    pushImage(0),
    advance(2),
    fault("kv.get", "fail"),
    { do: "pull manifest", ...reader, manifest: 0 },
    ledgerFault("overloaded", 1),
    { do: "pull tag", ...reader, tag: 0, as: "reader" },
    pushImage(1),
    { do: "delete manifest", ...writer, manifest: 0 },
    advance(35),
    { do: "restart location", at: 1 },
    ledgerFault("overloaded", 1),
    { do: "pull tag", ...reader, tag: 0, as: "reader" },
  ],
};

for (const [name, steps] of Object.entries(cases)) {
  test(name, async () => {
    await runCase(harnesses[0], steps);
  });
}

// ── What is to be shown in particular ────────────────────────────────────────────────────────────────────────────

test("collection between any two steps of a push, with a grace of a minute, makes none fail", async () => {
  const collection: Step[] = [advance(10), { do: "collect" }, runAlarms];
  const ways = ["post", "post and put", "streamed", "chunked"] as const;
  const pushes = ways.map((way, index): Step[] => [
    { do: "push blob", ...writer, blob: smallBlob, way, pauseSeconds: 5 },
    ...collection,
    { do: "push blob", ...writer, blob: largeBlob, way, pauseSeconds: 5 },
    ...collection,
    ...([0, 1] as const).flatMap((manifest): Step[] => [
      { do: "put manifest", ...writer, manifest, tag: 0 },
      ...collection,
    ]),
    { do: "delete manifest", ...writer, manifest: index % 2 },
    ...collection,
  ]);
  const trace = await runCase(harnesses[0], pushes.flat(), { graceSeconds: 60 });
  assert.equal(trace.filter((line) => / PUT 0\/manifests.*: 201$/.test(line)).length, 2 * ways.length);
});

test("what nothing reaches may go while another client of the same moment pauses in a push", async () => {
  // Each pause is longer than `untaggedAfter`: as a rule the manifest comes before the last one, and goes meanwhile.
  const pausing = { do: "push blob", ...writer, blob: 3, way: "chunked", pauseSeconds: 150 } as const;
  const trace = await runCase(
    harnesses[0],
    [
      { do: "put policies", at: 0, document: 4 },
      pushImage(1),
      {
        do: "together",
        writes: [{ do: "put manifest", ...writer, manifest: 0, tag: null }, pausing],
        pulls: [],
      },
    ],
    { graceSeconds: 60 },
    // What is tagged has the blob as well: it is there whenever the other manifest comes.
    [
      { kind: "image", references: [0], subject: null },
      { kind: "image", references: [0, 1], subject: null },
    ],
  );
  const put = trace
    .map((line) => / PUT 0\/manifests\/(sha256:\w+) .*: 201$/.exec(line))
    .find((match) => match);
  assert(trace.some((line) => line.startsWith(`0 GET 0/manifests/${put?.[1]} (pusher): 404`)));
});

test("while a ledger is overloaded, readers get tags as they were, and writers are told to come back", async () => {
  const pullTag = (as: "reader" | "pusher"): Step => ({ do: "pull tag", ...reader, tag: 0, as });
  const trace = await runCase(harnesses[0], [
    pushImage(0),
    advance(70),
    ledgerFault("overloaded", 6),
    pullTag("reader"),
    pullTag("pusher"),
    pushImage(1),
  ]);
  const answers = trace.flatMap((line) => {
    const [, ...answer] = /^[01] (GET|PUT) 0\/manifests\/tag-0 \((.+)\): (\d+(?: stale)?)/.exec(line) ?? [];
    return answer.length === 0 ? [] : [answer.join(" ")];
  });
  // The program's clients repeat what was refused, while all is well.
  assert.deepEqual(answers.slice(0, 7), [
    "PUT pusher 201",
    "GET pusher 200",
    "GET reader 200 stale",
    "GET pusher 503",
    "GET pusher 200",
    "PUT pusher 503",
    "PUT pusher 201",
  ]);
});
