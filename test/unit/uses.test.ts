/** What an isolate tells the ledgers about uses, and when. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Digest, RepositoryName, Tag } from "../../src/oci/reference.ts";
import { Uses } from "../../src/registry/uses.ts";
import type { Use } from "../../src/rpc/manifest-facts.ts";
import { day, minute } from "../../src/units.ts";

const repository = "team/app" as RepositoryName;
const digest = `sha256:${"1".repeat(64)}` as Digest;
const tag = "v1" as Tag;
const noon = Date.UTC(2026, 10, 29, 12);

/** An isolate, what its ledgers were told, and whether they can be reached. */
function isolate() {
  const clock = { nowMs: noon, now: () => clock.nowMs };
  const told: { repository: string; use: Use; day: number }[] = [];
  const ledgers = { areReached: true };
  const uses = new Uses(clock, (name) => ({
    recordUses: async (given, usedDay) => {
      if (!ledgers.areReached) throw new Error("away");
      told.push(...given.map((use) => ({ repository: name, use, day: usedDay })));
    },
  }));
  const running: Promise<unknown>[] = [];
  const note = async (use: Use) => {
    uses.note(repository, use, (promise) => running.push(promise));
    await Promise.all(running);
    return told.splice(0).map((each) => each.use);
  };
  return { clock, ledgers, note, told };
}

test("a use is told once a day, and a use by a tag is one of its manifest", async () => {
  const { clock, note } = isolate();
  assert.deepEqual(await note({ digest, tag }), [{ digest, tag }]);
  assert.deepEqual(await note({ digest, tag }), []);
  assert.deepEqual(await note({ digest }), []);
  clock.nowMs = noon + day / 2 - 1;
  assert.deepEqual(await note({ digest, tag }), []);
  clock.nowMs++;
  assert.deepEqual(await note({ digest }), [{ digest }]);
  assert.deepEqual(await note({ digest, tag }), [{ digest, tag }], "the tag was not told on this day");
});

test("uses of other tags and manifests are told for themselves", async () => {
  const { note } = isolate();
  const other = `sha256:${"2".repeat(64)}` as Digest;
  for (const use of [{ digest }, { digest, tag }, { digest, tag: "v2" as Tag }, { digest: other, tag }]) {
    assert.deepEqual(await note(use), [use]);
  }
});

test("a use that could not be told is told again: with the same use, or later with any other", async () => {
  const { clock, ledgers, note } = isolate();
  ledgers.areReached = false;
  assert.deepEqual(await note({ digest, tag }), []);
  ledgers.areReached = true;
  assert.deepEqual(await note({ digest, tag }), [{ digest, tag }]);

  const other = `sha256:${"2".repeat(64)}` as Digest;
  ledgers.areReached = false;
  assert.deepEqual(await note({ digest: other }), []);
  ledgers.areReached = true;
  assert.deepEqual(await note({ digest }), [], "not at once: the ledger may be overloaded");
  clock.nowMs += minute;
  const told = await note({ digest });
  assert(
    told.some((use) => use.digest === other),
    JSON.stringify(told),
  );
  assert.deepEqual(await note({ digest }), []);
});

test("what a ledger does not answer is kept up to a bound", async () => {
  const { clock, ledgers, note } = isolate();
  ledgers.areReached = false;
  for (let at = 0; at < 1500; at++) {
    await note({ digest: `sha256:${String(at).padStart(64, "0")}` as Digest });
  }
  ledgers.areReached = true;
  clock.nowMs += minute;
  assert.equal((await note({ digest })).length, 50 + 1, "one request tells few of others");
  let rounds = 0;
  while ((await note({ digest })).length > 0) rounds++;
  assert.equal(rounds, 1000 / 50 - 1);
});
