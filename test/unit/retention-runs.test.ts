/** Retention in a ledger: which tags a run removes, when it waits, and what is left of what it removed. */
import assert from "node:assert/strict";
import test, { describe as group } from "node:test";
import type { Env } from "../../src/bindings.ts";
import { jobsOf } from "../../src/objects/ledger/feature.ts";
import { createLedger, makeParts } from "../../src/objects/ledger/parts.ts";
import { retentionJob } from "../../src/objects/ledger/policies.ts";
import type { Meta } from "../../src/objects/ledger/repository.ts";
import { freedWithout, readTagStates } from "../../src/objects/ledger/tag-states.ts";
import { readRows, transaction } from "../../src/objects/sql.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import type { Digest, RepositoryName } from "../../src/oci/reference.ts";
import { policyFor } from "../../src/policy/document.ts";
import { day, dayOf } from "../../src/units.ts";
import { describe, imageIndex } from "../support/content.ts";
import { policedLedger as ledger, origin, tagNamed } from "../support/policed-ledger.ts";
import { memoryStorage } from "../support/sqlite.ts";

const all = { tags: ["*"] };

test("a run removes what the policy removes, and the history and the deletion say by which rule", async () => {
  const {
    image,
    pass,
    tagNames,
    deleted: _,
    ...parts
  } = ledger({
    keep: [{ tags: ["*"], newest: 2 }],
    remove: all,
  });
  for (const tag of ["a", "b", "c"]) {
    image(tag);
    parts.clock.nowMs += 1000;
  }
  await pass(1);
  assert.deepEqual(tagNames(), ["b", "c"]);
  const [last] = parts.sql
    .exec("SELECT actor, reason, to_digest FROM tag_history WHERE tag = 'a' ORDER BY sequence DESC")
    .toArray();
  assert.deepEqual({ ...last }, { actor: "policy", reason: "rules[0].remove of version 1", to_digest: null });
  assert.deepEqual(parts.runs.last?.removed, 1);
});

test("without a section remove there is no run, and one that is taken away ends it", async () => {
  const { put, pass, image, tagNames, due } = ledger({ keep: [{ tags: ["*"], newest: 1 }] });
  image("a");
  assert.equal(due.has("retention"), false);
  put({ remove: { tags: ["b"] } });
  image("b");
  put({ tags: { allow: ["*"] } });
  await pass(2);
  assert.deepEqual(tagNames(), ["a", "b"]);
  assert.equal(due.has("retention"), false);
});

group("what stays", () => {
  test("what a kept index lists, and what refers to a kept image", async () => {
    const { image, push, pass, tagNames, manifestCount } = ledger({
      keep: [{ tags: ["kept"] }],
      remove: { ...all, untaggedAfter: "0d" },
    });
    const [one, two] = [image("one"), image("two")];
    push(imageIndex([describe(one.bytes, imageManifestType)]), imageIndexType, ["kept"]);
    push(
      imageIndex([], { subject: describe(one.bytes, imageManifestType), artifactType: "application/x-note" }),
      imageIndexType,
    );
    assert.notEqual(one.digest, two.digest);
    await pass(4);
    assert.deepEqual(tagNames(), ["kept"]);
    // The index, its image, and what refers to that.
    assert.equal(manifestCount(), 3);
  });

  test("a tag whose manifest was used, by its digest or through an index", async () => {
    const { image, push, pass, tagNames, uses, clock, put } = ledger({ tags: { allow: ["*"] } });
    const [one, two, three] = [image("one"), image("two"), image("three")];
    push(imageIndex([describe(two.bytes, imageManifestType)]), imageIndexType, ["index"]);
    put({ keep: [{ tags: ["*"], usedWithin: "3d" }], remove: all });
    await pass(2);
    for (const { digest } of [one, two]) uses.record([{ digest }], dayOf(clock.nowMs));
    assert.notEqual(three.digest, two.digest);
    await pass(2);
    assert.deepEqual(tagNames(), ["index", "one", "two"]);
    await pass(4);
    assert.deepEqual(tagNames(), []);
  });

  test("a tag that somebody holds, until it is released", async () => {
    const { image, pass, tagNames, held, change } = ledger({ remove: all });
    image("a");
    image("b");
    change((tx) => held.hold(tx, tagNamed("a"), "asked for", "me"));
    await pass(1);
    assert.deepEqual(tagNames(), ["a"]);
    change((tx) => held.release(tx, tagNamed("a")));
    await pass(1);
    assert.deepEqual(tagNames(), []);
  });

  test("a tag that was pushed again, with the digest that it had", async () => {
    const { image, push, pass, tagNames } = ledger({
      keep: [{ tags: ["*"], pushedWithin: "3d" }],
      remove: all,
    });
    const { bytes } = image("again");
    image("once");
    await pass(2);
    push(bytes, imageManifestType, ["again"]);
    await pass(2);
    assert.deepEqual(tagNames(), ["again"]);
  });

  test("a tag that was restored counts as pushed then", async () => {
    const { image, pass, tagNames, deleted, change } = ledger({
      keep: [{ tags: ["*"], pushedWithin: "2d" }],
      remove: all,
    });
    image("a");
    await pass(2);
    assert.deepEqual(tagNames(), []);
    const restored = change((tx) => deleted.restoreTag(tx, tagNamed("a"), {}, origin));
    assert(restored.ok);
    await pass(1);
    assert.deepEqual(tagNames(), ["a"]);
    await pass(2);
    assert.deepEqual(tagNames(), []);
  });

  test("clients' own tags, until a rule removes their subject", async () => {
    const { image, pass, tagNames } = ledger({
      keep: [{ tags: ["v1"] }],
      remove: { ...all, untaggedAfter: "1d" },
    });
    const [kept, gone] = [image("v1"), image("v2")];
    const signatureOf = (digest: Digest) => `${digest.replace(":", "-")}.sig`;
    image(signatureOf(kept.digest));
    image(signatureOf(gone.digest));
    await pass(1);
    assert.deepEqual(tagNames(), [signatureOf(kept.digest), signatureOf(gone.digest), "v1"].sort());
    await pass(2);
    assert.deepEqual(tagNames(), [signatureOf(kept.digest), "v1"].sort());
  });

  test("a client's own tag that somebody holds, though a rule removes its subject", async () => {
    const { image, pass, tagNames, held, change } = ledger({ remove: { ...all, untaggedAfter: "1d" } });
    const { digest } = image("v1");
    const tags = [signatureOf(digest), signatureOf(digest).replace(".sig", ".att")];
    for (const tag of tags) image(tag);
    change((tx) => held.hold(tx, tagNamed(signatureOf(digest)), "asked for", "me"));
    await pass(3);
    assert.deepEqual(tagNames(), [signatureOf(digest)]);
  });
});

/** What is pushed and done, by which rules, and what is left of it after so many days: tags, and how many manifests. */
type Case = [
  title: string,
  rules: Parameters<ReturnType<typeof ledger>["put"]>,
  work: (made: ReturnType<typeof ledger>) => unknown,
  days: number,
  tags: string[],
  manifests: number,
];

const noteOn = (made: ReturnType<typeof ledger>, bytes: Uint8Array) =>
  made.push(
    imageIndex([], { subject: describe(bytes, imageManifestType), artifactType: "application/x-note" }),
    imageIndexType,
  );
const indexOf = (made: ReturnType<typeof ledger>, tag: string, ...images: { bytes: Uint8Array }[]) =>
  made.push(imageIndex(images.map(({ bytes }) => describe(bytes, imageManifestType))), imageIndexType, [tag]);
const signatureOf = (digest: Digest) => `${digest.replace(":", "-")}.sig`;
const everything = { remove: { ...all, untaggedAfter: "0d" } };

const cases: Case[] = [
  [
    "an image that a kept index lists stays without its tag",
    [{ keep: [{ tags: ["kept"] }], ...everything }],
    (made) => indexOf(made, "kept", made.image("one")),
    4,
    ["kept"],
    2,
  ],
  [
    "an index that goes takes along the images that nothing else leads to",
    [{ keep: [{ tags: ["one"] }], ...everything }],
    (made) => indexOf(made, "index", made.image("one"), made.image()),
    4,
    ["one"],
    1,
  ],
  [
    "what refers to a kept image stays",
    [{ keep: [{ tags: ["kept"] }], ...everything }],
    (made) => noteOn(made, made.image("kept").bytes),
    4,
    ["kept"],
    2,
  ],
  [
    "what refers to an image that goes, goes with it",
    [everything],
    (made) => noteOn(made, made.image("gone").bytes),
    6,
    [],
    0,
  ],
  [
    "what refers to an image of a kept index stays",
    [{ keep: [{ tags: ["kept"] }], ...everything }],
    (made) => {
      const image = made.image();
      indexOf(made, "kept", image);
      noteOn(made, image.bytes);
    },
    6,
    ["kept"],
    3,
  ],
  [
    "an alias stays with the version that it has moved to",
    [{ keep: [{ ...all, newestVersions: 1 }], ...everything }],
    (made) => {
      made.image("1.2.3", "1.2", "1");
      made.image("1.2.4", "1.2");
      made.image("2.0.0-rc1");
    },
    4,
    ["1.2", "1.2.4", "2.0.0-rc1"],
    2,
  ],
  [
    "a tag that was moved counts as pushed then, and what it pointed at goes",
    [{ keep: [{ ...all, pushedWithin: "3d" }], ...everything }],
    async (made) => {
      made.image("moved", "stays-behind");
      await made.pass(2);
      made.image("moved");
    },
    2,
    ["moved"],
    1,
  ],
  [
    "an immutable tag expires as any other",
    [{ tags: { immutable: ["v*"] }, keep: [{ tags: ["v2"] }], ...everything }],
    (made) => [made.image("v1"), made.image("v2")],
    4,
    ["v2"],
    1,
  ],
  [
    "a use by digest keeps every tag and index that leads there",
    [{ keep: [{ ...all, usedWithin: "3d" }], ...everything }],
    async (made) => {
      const [used, other] = [made.image("tagged", "too"), made.image("other")];
      indexOf(made, "index", used);
      await made.pass(2);
      made.uses.record([{ digest: used.digest }], dayOf(made.clock.nowMs));
      assert.notEqual(used.digest, other.digest);
    },
    2,
    ["index", "tagged", "too"],
    2,
  ],
  [
    "of two rules, each section is of the first that has it",
    [
      { keep: [{ tags: ["a"] }] },
      { keep: [{ tags: ["b"] }], remove: { tags: ["a", "b"], untaggedAfter: "0d" } },
      { remove: all },
    ],
    (made) => [made.image("a"), made.image("b"), made.image("c")],
    4,
    ["a", "c"],
    2,
  ],
  [
    "clients' own tags stay with their subject, and go with it",
    [{ keep: [{ tags: ["kept"] }], ...everything }],
    (made) => {
      for (const tag of ["kept", "gone"]) made.image(signatureOf(made.image(tag).digest));
    },
    8,
    ["kept", "signature"],
    2,
  ],
];

group("what is left after a run", () => {
  for (const [title, rules, work, days, left, manifests] of cases) {
    test(title, async () => {
      const made = ledger({ tags: { allow: ["*"] } });
      made.put(...rules);
      await work(made);
      await made.pass(days);
      const tags = made.tagNames().map((tag) => (tag.startsWith("sha256-") ? "signature" : tag));
      assert.deepEqual([tags.sort(), made.manifestCount()], [left, manifests]);
    });
  }
});

test("an immutable tag that expired is made again only with its digest", async () => {
  const { image, push, pass, tagNames, policies } = ledger({
    tags: { immutable: ["v*"] },
    keep: [{ tags: ["*"], pushedWithin: "1d" }],
    remove: all,
  });
  const { bytes, digest } = image("v1");
  const other = image("main");
  await pass(2);
  assert.deepEqual(tagNames(), []);
  assert.equal(policies.refusePush([tagNamed("v1")], other.digest)?.error, "TAG_IMMUTABLE");
  assert.equal(policies.refuseMove(tagNamed("v1"), undefined), undefined);
  assert.equal(push(bytes, imageManifestType, ["v1"]), digest);
  assert.deepEqual(tagNames(), ["v1"]);
});

test("and not with another one when a repository is restored that was deleted before", async () => {
  const { image, put, pass, tagNames, change, repository, generations, restoring } = ledger(
    { tags: { allow: ["*"] } },
    { GC_GRACE: "30d" },
  );
  image("v1");
  image("main");
  change((tx) => generations.end(tx, found(repository), origin));
  repository.reload();
  change((tx) => repository.found(tx, origin));
  repository.reload();
  put({ tags: { immutable: ["v*"] }, keep: [{ tags: ["*"], pushedWithin: "1d" }], remove: { tags: ["v*"] } });
  image("v1");
  await pass(2);
  assert.deepEqual(tagNames(), []);
  const restored = change((tx) => restoring.begin(tx, found(repository).generation - 1, true, origin));
  assert(restored.ok && restored.isComplete);
  assert.deepEqual(tagNames(), ["main"]);
});

function found({ meta }: { meta: Meta | undefined }): Meta {
  assert(meta);
  return meta;
}

test("a tag is announced by the run before the one that removes it, and its removal is told with the rule", async () => {
  const { image, pass, sql } = ledger({ keep: [{ tags: ["*"], pushedWithin: "3d" }], remove: all });
  const { digest } = image("a");
  const told = () => {
    const rows = readRows<{ event: string }>(sql, "SELECT event FROM events ORDER BY sequence");
    return rows.flatMap(({ event }) => {
      const { type, time, target } = JSON.parse(event);
      return type.startsWith("tag.exp") ? [{ type, time: Date.parse(time), target }] : [];
    });
  };
  await pass(5);
  const [expiring, expired, ...more] = told();
  assert.deepEqual(more, []);
  const { expiresAt, ...target } = expiring?.target ?? {};
  assert.deepEqual([expiring?.type, target], ["tag.expiring", { tag: "a", digest, rule: "rules[0].remove" }]);
  const announcedFor = Date.parse(expiresAt) - (expiring?.time ?? 0);
  assert(announcedFor > 0 && announcedFor <= day, `${announcedFor} ms before`);
  assert.deepEqual(
    [expired?.type, expired?.target],
    ["tag.expire", { tag: "a", previousDigest: digest, rule: "rules[0].remove" }],
  );
  assert.equal((expired?.time ?? 0) - (expiring?.time ?? 0), day);
});

test("a tag that a newer one pushes out is announced a day before it goes, too, with its alias", async () => {
  const { image, settle, due, sql, tagNames, clock } = ledger({
    keep: [{ ...all, newestVersions: 1 }],
    remove: all,
  });
  const nextRun = async () => {
    clock.nowMs = due.at("retention", "") ?? assert.fail("no run is due");
    await settle();
  };
  const told = () => {
    const rows = readRows<{ event: string }>(sql, "SELECT event FROM events ORDER BY sequence");
    return rows.flatMap(({ event }) => {
      const { type, time, target } = JSON.parse(event);
      return type.startsWith("tag.exp") ? [{ type, timeMs: Date.parse(time), tag: target.tag }] : [];
    });
  };
  image("1.0.0", "1.0");
  await nextRun();
  clock.nowMs += 5_000;
  image("1.1.0");
  await nextRun();
  assert.deepEqual(tagNames(), ["1.0", "1.0.0", "1.1.0"]);
  await nextRun();
  assert.deepEqual(tagNames(), ["1.1.0"]);
  const events = told();
  assert.deepEqual(
    events.map(({ type, tag }) => [type, tag]),
    [
      ["tag.expiring", "1.0"],
      ["tag.expiring", "1.0.0"],
      ["tag.expire", "1.0"],
      ["tag.expire", "1.0.0"],
    ],
  );
  assert.equal((events[2]?.timeMs ?? 0) - (events[0]?.timeMs ?? 0), day);
});

test("an explanation is kept for seconds, and made again after any change", (t) => {
  const { image, explanations, retention, held, policies, change, clock, put } = ledger({ remove: all });
  image("a");
  image("b");
  const decisions = t.mock.method(retention, "verdicts");
  const goes = (tag: string) => explanations.verdict(policies.policy, tagNamed(tag))?.stays === false;
  for (let asked = 0; asked < 5; asked++) assert(goes("a"));
  assert.equal(explanations.verdict(policies.policy, tagNamed("none")), undefined);
  assert.equal(decisions.mock.callCount(), 1);
  change((tx) => held.hold(tx, tagNamed("a"), "", "me"));
  assert(!goes("a") && goes("b"));
  assert.equal(decisions.mock.callCount(), 2);
  put({ remove: { tags: ["b"] }, tags: { allow: ["b"] } });
  assert(goes("b"));
  assert.deepEqual(explanations.refusedTags(policies.policy), ["a"]);
  image("b");
  assert(goes("b") && goes("b"));
  assert.equal(decisions.mock.callCount(), 4);
  clock.nowMs += 10_000;
  assert(goes("b"));
  assert.equal(decisions.mock.callCount(), 5);
});

test("an explanation is kept no longer than a line keeps every tag that stays", () => {
  const { image, explanations, policies, clock } = ledger({
    remove: all,
    keep: [{ tags: ["*"], pushedWithin: "2s" }],
  });
  image("a");
  const stays = () => explanations.verdict(policies.policy, tagNamed("a"))?.stays;
  assert.equal(stays(), true);
  clock.nowMs += 1999;
  assert.equal(stays(), true);
  clock.nowMs += 1;
  assert.equal(stays(), false);
});

group("a run waits to be confirmed", () => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => `t${String(at).padStart(3, "0")}`);

  test("if its rules are new and it would remove more than ten tags and more than a tenth", async () => {
    const { image, pass, tagNames, runs, retention, change, waiting, settle, clock } = ledger({
      remove: all,
    });
    for (const tag of many(11)) image(tag);
    await pass(1);
    assert.equal(tagNames().length, 11);
    const { sinceMs } = runs.waiting ?? {};
    assert.deepEqual(runs.waiting, { sinceMs, removes: 11, of: 11, why: "new rules" });
    assert.deepEqual(waiting, [runs.waiting]);
    await pass(1);
    assert.equal(runs.waiting?.sinceMs, sinceMs, "it has waited since then");
    const confirmed = change((tx) => retention.confirm(tx));
    assert(confirmed.ok);
    clock.nowMs++;
    await settle();
    assert.deepEqual([tagNames(), runs.waiting, waiting.at(-1)], [[], undefined, undefined]);
    const told = waiting.length;
    assert.equal(change((tx) => retention.confirm(tx)).ok, false);
    await settle();
    assert.equal(waiting.length, told + 1, "whoever lists it is told that it is over");
  });

  test("and looks again each day whether it still has to, until there is nothing to remove", async () => {
    const { image, pass, put, policies, clock, runs, waiting } = ledger({ remove: all });
    for (const tag of many(11)) image(tag);
    await pass(1);
    assert(runs.waiting !== undefined && (policies.nextRunAtMs ?? 0) > clock.nowMs);
    put({});
    await pass(1);
    assert.deepEqual([runs.waiting, waiting.at(-1)], [undefined, undefined]);
  });

  test("not if it would remove ten, or a tenth", async () => {
    const few = ledger({ remove: all });
    for (const tag of many(10)) few.image(tag);
    await few.pass(1);
    assert.deepEqual(few.tagNames(), []);
    const tenth = ledger({ remove: { tags: ["t00?", "t01?"] } });
    for (const tag of many(200)) tenth.image(tag);
    await tenth.pass(1);
    assert.equal(tenth.tagNames().length, 180);
  });

  test("if it would remove more than three times the most of the last runs", async () => {
    const { image, pass, tagNames, runs } = ledger({ remove: all });
    for (const tag of many(5)) image(tag);
    await pass(1);
    for (const tag of many(15)) image(tag);
    await pass(1);
    assert.deepEqual(tagNames(), [], "three times as many go");
    for (const tag of many(46)) image(tag);
    await pass(1);
    assert.equal(tagNames().length, 46);
    assert.equal(runs.waiting?.why, "more than usual");
  });

  test("and is not confirmed by who saw what other rules would remove", async () => {
    const { image, put, pass, tagNames, runs, retention, change, clock, settle } = ledger({
      remove: { tags: ["t*"] },
    });
    for (const tag of ["kept", ...many(11)]) image(tag);
    await pass(1);
    assert.equal(runs.waiting?.removes, 11);
    put({ remove: all });
    const confirmed = change((tx) => retention.confirm(tx));
    assert(!confirmed.ok && confirmed.error === "RUN_UNKNOWN");
    clock.nowMs++;
    await settle();
    assert.equal(tagNames().length, 12);
    assert.equal(runs.waiting?.removes, 12, "it waits for these rules to be confirmed");
    assert(change((tx) => retention.confirm(tx)).ok);
    clock.nowMs++;
    await settle();
    assert.deepEqual(tagNames(), []);
  });

  test("a rule that is put while a run is under way has to be confirmed by itself", async () => {
    const made = ledger({ remove: { tags: ["t00?", "t01?"] } });
    const { image, put, tagNames, runs, clock, settle, due, features } = made;
    for (const tag of many(200)) image(tag);
    clock.nowMs += day;
    await jobsOf(features)[retentionJob]?.([{ id: "", at: clock.nowMs }]);
    const left = tagNames().length;
    assert(left > 180 && left < 200 && due.has(retentionJob), `${left} tags are left by the first batch`);
    put({ remove: all });
    clock.nowMs += day;
    await settle();
    assert.equal(tagNames().length, left);
    assert.equal(runs.waiting?.why, "new rules");
  });
});

test("a trial says what the run does, in the same words", async () => {
  const rule = { keep: [{ tags: ["*"], newest: 3 }], remove: { ...all, untaggedAfter: "0d" } };
  const { image, retention, policy, pass, tagNames, sql, policies, manifestCount, clock } = ledger(rule);
  for (const tag of ["a", "b", "c", "d", "e"]) image(tag, `${tag}-too`);
  clock.nowMs += day;
  const going = retention.verdicts(policy).filter(({ stays }) => !stays);
  const states = readTagStates(sql, policies.sinceMs);
  const freed = freedWithout(sql, states, new Set(going.map(({ tag }) => tag)));
  const before = manifestCount();
  await pass(1);
  assert.equal(tagNames().length, 10 - going.length);
  await pass(2);
  assert.equal(before - manifestCount(), freed.manifests.objects);
});

test("a policy that removes tags is adopted in the transaction that makes the ledger", () => {
  const storage = memoryStorage();
  const clock = { now: () => 1_700_000_000_000 };
  const parts = makeParts(storage, {} as Env, clock);
  transaction(storage, (tx) => {
    createLedger(tx, parts, "team/app" as RepositoryName);
    parts.policies.adopt(tx, {
      version: 1,
      policy: policyFor([{ repositories: ["**"], remove: all }], "team/app" as RepositoryName),
    });
  });
  assert(parts.due.has(retentionJob));
});
