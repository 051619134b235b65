/** Calls between objects, and to the bucket, that arrive late or twice. */
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
import { buildHarness, startHarness } from "./support/harness.ts";
import type { Program, PushWay, Step, WriteStep } from "./support/program.ts";

const harness = await startHarness(await buildHarness());
after(() => harness[Symbol.asyncDispose]());

type Case = { steps: Step[]; settings?: Partial<Program["settings"]> };

const deleteBlob: Step = { do: "delete blob", ...writer, blob: largeBlob };
const putManifest: WriteStep = { do: "put manifest", ...writer, manifest: 1, tag: 0 };

/** A ledger's release of a blob that is late, and a push of it meanwhile whose link is. */
const crossing: Step[] = [
  pushBlob(largeBlob),
  deleteBlob,
  fault("BLOB_SHARDS.release", "held"),
  runAlarms,
  fault("LEDGERS.linkBlob", "held"),
  pushBlob(largeBlob),
  fault("LEDGERS.holds", "answer held"),
  letGo("BLOB_SHARDS.release"),
  runAlarms,
];

const cases: Record<string, Case> = {
  "an image is kept whose blob its ledger said it did not hold, before it was linked under a lease": {
    steps: [
      ...crossing,
      letGo("LEDGERS.linkBlob"),
      putManifest,
      advance(70),
      letGo("LEDGERS.holds"),
      runAlarms,
    ],
  },
  "an image is kept whose blob is linked while its ledger's word that it is not is on its way": {
    steps: [...crossing, advance(40), letGo("LEDGERS.linkBlob"), putManifest, advance(40), letGo("all")],
  },
  "an image is kept whose ledger's clock is behind, so that its blob is linked when the lease is over": {
    steps: [
      fault("LEDGERS.linkBlob", "held"),
      pushBlob(largeBlob),
      advance(60),
      fault("LEDGERS.holds", "answer held"),
      runAlarms,
      letGo("LEDGERS.linkBlob"),
      putManifest,
      letGo("LEDGERS.holds"),
    ],
    settings: { ledgersBehindSeconds: 30 },
  },
  "a blob is kept whose key is doomed once more after it was adopted": {
    steps: [fault("BLOB_SHARDS.doom", "again"), pushImage(1), letGo("all"), advance(400)],
  },
  "a blob is kept whose key's doom comes twice, the second time after hours": {
    steps: [fault("BLOB_SHARDS.doom", "late"), pushImage(0), advance(400), letGo("all")],
  },
};

/** A push whose answer is late; meanwhile somebody else's manifest comes for its blob, and goes, and all grace is ended. */
const usedMeanwhile: Step[] = [
  fault("LEDGERS.linkBlob", "answer held"),
  pushBlob(largeBlob),
  { ...putManifest, at: 1 },
  { do: "delete manifest", ...writer, at: 1, manifest: 1 },
  { do: "collect now" },
];

cases["a blob is there for the manifest of a push that is answered after a collection that did not wait"] = {
  steps: [...usedMeanwhile, letGo("all"), putManifest],
};
cases["a blob can be pulled whose push is answered after a collection that did not wait"] = {
  steps: usedMeanwhile,
  settings: { isOneMachine: true },
};

cases["a blob is linked once more whose push hears of its link when a collection may have taken it"] = {
  steps: [
    pushImage(1, 1),
    ...usedMeanwhile.slice(0, -1),
    advance(70),
    { do: "collect now" },
    letGo("all"),
    putManifest,
  ],
  settings: { isOneMachine: true },
};

cases[
  "a push may be refused whose link takes longer than its lease, where a collection did not wait for its bytes"
] = {
  steps: [
    fault("LEDGERS.linkBlob", "held"),
    pushBlob(largeBlob),
    advance(65),
    { do: "collect now" },
    letGo("all"),
  ],
  settings: { deleteDelaySeconds: 30 },
};
cases[
  "a push is not acknowledged that is repeated when its blob was deleted, while the first answer was late"
] = {
  steps: [
    fault("LEDGERS.linkBlob", "answer held"),
    { do: "push blob", ...writer, blob: largeBlob, way: "chunked", pauseSeconds: 0 },
    { do: "delete blob", ...writer, blob: largeBlob },
    { do: "evict", of: "UPLOADS" },
  ],
};

cases["nothing is linked on a lease of which its ledger said no, when the upload that asks for it has died"] =
  {
    steps: [
      fault("LEDGERS.linkBlob", "held"),
      { do: "leave upload", repository: 0, at: 0, blob: largeBlob, isClosed: true, isCancelled: false },
      { do: "evict", of: "UPLOADS" },
      advance(60),
      { do: "collect now" },
      letGo("all"),
      { do: "pull blob", ...reader, blob: largeBlob },
    ],
    settings: { ledgersBehindSeconds: 30 },
  };

const ways: PushWay[] = ["post", "post and put", "streamed", "chunked"];
for (const way of ways) {
  cases[`a push (${way}) whose link takes longer than its lease is not refused`] = {
    steps: [
      fault("LEDGERS.linkBlob", "held"),
      { do: "push blob", ...writer, blob: largeBlob, way, pauseSeconds: 0 },
      advance(70),
      runAlarms,
      runAlarms,
      letGo("all"),
      putManifest,
    ],
    settings: { deleteDelaySeconds: 3600 },
  };
}

const closings = [
  [smallBlob, "r2.put", "late"],
  [smallBlob, "r2.put", "lost"],
  [largeBlob, "r2.complete", "late"],
  [largeBlob, "r2.complete", "lost"],
] as const;
for (const [blob, call, effect] of closings) {
  cases[`an upload that is cancelled after its closing ${call} was ${effect} leaves nothing`] = {
    steps: [
      fault(call, effect),
      { do: "leave upload", repository: 0, at: 0, blob, isClosed: true, isCancelled: true },
      advance(70),
    ],
  };
}

cases["an upload that is cancelled while its closing put is on its way leaves nothing"] = {
  steps: [
    fault("r2.put", "held"),
    { do: "leave upload", repository: 0, at: 0, blob: smallBlob, isClosed: true, isCancelled: true },
    // The object is gone, and with it whoever waited for the put; its client hears of that, and cancels.
    { do: "evict", of: "UPLOADS" },
    advance(2),
    letGo("all"),
  ],
};

for (const [name, { steps, settings }] of Object.entries(cases)) {
  test(name, async () => {
    await runCase(harness, steps, settings);
  });
}
