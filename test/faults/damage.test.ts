/** Stores that lose or change what they keep: no wrong bytes are served, and what is good is neither lost nor kept from. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { after } from "../support/ends-of-files.ts";
import {
  advance,
  fault,
  largeBlob,
  pushBlob,
  pushImage,
  reader,
  runAlarms,
  runCase,
  smallBlob,
  writer,
} from "./support/cases.ts";
import { buildHarness, startHarness } from "./support/harness.ts";
import type { BlobDamage, Program, RowDamage, Step } from "./support/program.ts";

const harness = await startHarness(await buildHarness());
after(() => harness[Symbol.asyncDispose]());

const scrub: Step = { do: "scrub" };
const damageBlob = (blob: number, how: BlobDamage): Step => ({ do: "damage blob", blob, how });
const pullBlob = (blob: number, repository = 0): Step => ({ do: "pull blob", ...reader, repository, blob });

type Case = { steps: Step[]; settings?: Partial<Program["settings"]> };

const cases: Record<string, Case> = {};

const damages: BlobDamage[] = ["lost", "cut short", "altered", "unreadable"];
for (const how of damages) {
  for (const [size, blob] of [
    ["small", smallBlob],
    ["large", largeBlob],
  ] as const) {
    cases[`a ${size} blob that is ${how} is not taken for right, is reported, and is repaired by a push`] = {
      steps: [
        pushImage(blob),
        damageBlob(blob, how),
        pullBlob(blob),
        scrub,
        pushBlob(blob, 1),
        pullBlob(blob, 1),
      ],
    };
  }
  cases[`what another repository pushes of a blob that is ${how} is kept`] = {
    steps: [
      pushImage(1),
      damageBlob(largeBlob, how),
      scrub,
      pushImage(1, 1),
      { do: "delete manifest", ...writer, manifest: 1 },
      advance(400),
      runAlarms,
    ],
  };
  cases[`a registry finds by itself what is ${how}, and goes on with what comes after it`] = {
    steps: [pushImage(0), pushImage(1), damageBlob(smallBlob, "altered"), damageBlob(largeBlob, how)],
    settings: { scrubsItself: true },
  };
}

const rowDamages: RowDamage[] = ["altered", "cut short"];
for (const how of rowDamages) {
  cases[`a manifest whose row in the replica is ${how} comes from its ledger`] = {
    steps: [
      pushImage(0),
      advance(70),
      { do: "damage row", repository: 0, manifest: 0, how },
      { do: "pull manifest", ...reader, manifest: 0 },
      { do: "pull tag", ...reader, tag: 0, as: "reader" },
    ],
  };
}

for (const [name, { steps, settings }] of Object.entries(cases)) {
  test(name, async () => {
    await runCase(harness, steps, settings);
  });
}

test("a bucket that cannot be read for a while makes nobody replace what is good", async () => {
  // Three times in more than an hour: then a key that alone cannot be read is given up.
  const outage: Step[] = [fault("r2.get", "fail", 6), scrub, { do: "heal" }, advance(2000)];
  const trace = await runCase(harness, [
    pushImage(0),
    pushImage(1),
    ...outage,
    ...outage,
    ...outage,
    pushImage(1, 1),
  ]);
  assert(!trace.some((line) => line.includes("replaced")), trace.join("\n"));
});
