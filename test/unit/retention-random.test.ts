/**
 * Retention of random repositories: the trial, the run and a model agree; and after years, what is kept is whole.
 *
 * `RETENTION_CASES=1000 RETENTION_YEARS=10 node --test test/unit/retention-random.test.ts` takes a minute.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { readTagStates } from "../../src/objects/ledger/tag-states.ts";
import { readRows } from "../../src/objects/sql.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import type { Digest } from "../../src/oci/reference.ts";
import type { KeepLine } from "../../src/policy/document.ts";
import { dayOf, hour } from "../../src/units.ts";
import { describe, imageIndex } from "../support/content.ts";
import { origin, policedLedger, tagNamed } from "../support/policed-ledger.ts";
import { goesByModel } from "../support/retention-model.ts";

const name = fc.oneof(
  fc.stringMatching(/^v?[0-2]\.[0-2](\.[0-2](-(rc[0-1]|alpine3\.[0-1]))?)?$/),
  fc.constantFrom("latest", "pr-1", "pr-2", "main"),
);

const cases = Number(process.env.RETENTION_CASES ?? 100);
const years = Number(process.env.RETENTION_YEARS ?? 1);
const days = Math.round(years * 365);

/** What happens in a repository, one thing after the other. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("push" as const), tag: name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("point" as const), tag: name, at: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("index" as const), tag: name, at: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("use" as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), tag: name }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("hold" as const), tag: name }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("wait" as const), hours: fc.integer({ min: 1, max: 60 }) }),
  },
);

const patterns = fc.array(
  fc.constantFrom("*", "v*", "pr-*", "[0-9]*", "?.?.?", "*-alpine*", "latest", "main"),
  { minLength: 1, maxLength: 3 },
);
const number = fc.integer({ min: 1, max: 4 });
const line: fc.Arbitrary<KeepLine> = fc.oneof(
  fc.record({ tags: patterns, newest: number }),
  fc.record({ tags: patterns, newestVersions: number }),
  fc.record({ tags: patterns, pushedWithin: number.map((days) => `${days}d`) }),
  fc.record({ tags: patterns, usedWithin: number.map((days) => `${days}d`) }),
);

test("the trial, the run and the model agree on random repositories and documents", async (t) => {
  t.mock.method(console, "log", () => {});
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 5, maxLength: 25 }),
    fc.array(line, { maxLength: 3 }),
    patterns,
    async (steps, keep, remove) => {
      const ledger = policedLedger({ tags: { allow: ["*"] } });
      const { change, clock, sql } = ledger;
      const pushed: { bytes: Uint8Array; digest: Digest }[] = [];
      const one = (at: number) => pushed[at % Math.max(1, pushed.length)];
      for (const each of steps) {
        if (each.do === "push") pushed.push(ledger.image(each.tag));
        else if (each.do === "wait") clock.nowMs += each.hours * hour;
        else if (each.do === "delete") change((tx) => ledger.tags.remove(tx, tagNamed(each.tag), origin));
        else if (each.do === "hold") change((tx) => ledger.held.hold(tx, tagNamed(each.tag), "", "me"));
        else {
          const image = one(each.at);
          if (image === undefined) continue;
          if (each.do === "use") ledger.uses.record([{ digest: image.digest }], dayOf(clock.nowMs));
          else if (each.do === "point") ledger.push(image.bytes, imageManifestType, [each.tag]);
          else {
            const listed = [describe(image.bytes, imageManifestType)];
            ledger.push(imageIndex(listed, { annotations: { at: String(clock.nowMs) } }), imageIndexType, [
              each.tag,
            ]);
          }
        }
      }
      const policy = ledger.put({ keep, remove: { tags: remove } });
      // The run comes at a time of its own, for which the trial is made.
      clock.nowMs = ledger.due.at("retention", "") ?? assert.fail();
      const states = readTagStates(sql, ledger.policies.sinceMs);
      const noticeMs = ledger.settings.retentionEveryMs;
      const tried = ledger.retention.verdicts(policy).filter(({ stays }) => !stays);
      const goes = tried.map(({ tag }) => tag);
      assert.deepEqual(goes, goesByModel(states, keep, remove, { nowMs: clock.nowMs, noticeMs }));
      await ledger.settle();
      if (ledger.runs.waiting !== undefined) {
        assert.equal(ledger.runs.waiting.removes, goes.length);
        assert(change((tx) => ledger.retention.confirm(tx)).ok);
        await ledger.settle();
      }
      const left = states.map(({ tag }) => tag as string).filter((tag) => !goes.includes(tagNamed(tag)));
      assert.deepEqual(ledger.tagNames(), left);
    },
  );
  await fc.assert(property, { numRuns: cases });
  t.diagnostic(`${cases} random repositories and documents: the trial, the run and the model agree`);
});

test("after years of daily pushes and runs, all that is kept is whole, and all else is gone", async (t) => {
  t.mock.method(console, "log", () => {});
  const ledger = policedLedger({
    tags: { immutable: ["v*"] },
    keep: [
      { tags: ["v*"], newestVersions: 10 },
      { tags: ["*"], newest: 5 },
      { tags: ["*"], pushedWithin: "30d" },
      { tags: ["*"], usedWithin: "14d" },
    ],
    remove: { tags: ["v*", "pr-*"], untaggedAfter: "7d" },
  });
  const { sql, clock } = ledger;
  let used: Digest | undefined;
  for (let today = 0; today < days; today++) {
    const image = ledger.image(`pr-${today}`, "main");
    // A release a week, of two platforms that it shares with nothing else, and an attestation of it.
    if (today % 7 === 0) {
      const [one, two] = [ledger.image(), ledger.image()];
      const index = imageIndex([one, two].map(({ bytes }) => describe(bytes, imageManifestType)));
      const release = ledger.push(index, imageIndexType, [
        `v1.${Math.floor(today / 70)}.${(today / 7) % 10}`,
      ]);
      const subject = describe(index, imageIndexType);
      ledger.push(imageIndex([], { subject, artifactType: "application/x-note" }), imageIndexType);
      // The first release is in use all the time, by the digest of one of its images.
      used ??= one.digest;
      assert(release !== image.digest);
    }
    if (used !== undefined && today % 5 === 0) ledger.uses.record([{ digest: used }], dayOf(clock.nowMs));
    await ledger.pass(1);
    assert.equal(ledger.runs.waiting, undefined, `on day ${today}`);
  }
  const missing = `SELECT manifest_references.digest FROM manifest_references
    JOIN manifests AS parent ON parent.digest = manifest_references.manifest AND parent.kind = 'index'
    LEFT JOIN manifests USING (digest) WHERE manifests.digest IS NULL` as const;
  assert.deepEqual(readRows(sql, missing), [], "what is listed is there");
  const broken = "SELECT tag FROM tags WHERE digest NOT IN (SELECT digest FROM manifests)";
  assert.deepEqual(readRows(sql, broken), [], "what is tagged is there");
  const left = ledger.tagNames();
  assert(left.includes("v1.0.0"), "what is used stays");
  assert(left.includes("main"), "what is not listed stays");
  const releases = Math.ceil(days / 7);
  const newest = Array.from({ length: Math.min(10, releases) }, (_, at) => {
    const release = releases - 1 - at;
    return `v1.${Math.floor(release / 10)}.${release % 10}`;
  });
  assert.deepEqual(
    newest.filter((tag) => !left.includes(tag)),
    [],
    "the ten newest versions stay",
  );
  assert(left.length < 60, `${left.length} tags are left`);
  t.diagnostic(`${days} days of pushes and runs: ${left.length} tags are left, and all that they lead to`);
  // Each release has an index, two images and an attestation; an untagged one goes after at most nine days.
  assert(ledger.manifestCount() < 4 * left.length + 20, `${ledger.manifestCount()} manifests are left`);
});
