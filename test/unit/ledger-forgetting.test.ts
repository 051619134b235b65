/** What a ledger forgets or removes by itself, when, and what it does not. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { jobsOf } from "../../src/objects/ledger/feature.ts";
import { registryItself } from "../../src/oci/event.ts";
import { readStoredManifest } from "../../src/oci/manifest.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { type Digest, digestOfContent, type RepositoryName, type Tag } from "../../src/oci/reference.ts";
import { configType, content, describe, imageIndex, imageManifest } from "../support/content.ts";
import { memoryLedger } from "../support/ledger.ts";
import { namespaceOf } from "../support/namespace.ts";
import { policedLedger } from "../support/policed-ledger.ts";

const repository = "team/app" as RepositoryName;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const digest: Digest = digestOfContent(content(), "sha256");

/** A ledger to push to without blobs, and how its jobs are run. */
function newLedger(vars: Record<string, string> = {}) {
  const ledger = memoryLedger(vars as Partial<Env>);
  const push = (bytes: Uint8Array, mediaType = imageManifestType): Digest => {
    const put = {
      repository,
      digest: digestOfContent(bytes, "sha256"),
      bytes,
      tags: [],
      origin: registryItself,
    };
    const facts = readStoredManifest(bytes, mediaType);
    ledger.change((tx) => ledger.manifests.store(tx, { ...put, facts, sparse: true }));
    return put.digest;
  };
  const run = (kind: string, id = "") => jobsOf(ledger.features)[kind]?.([{ id, at: 0 }]);
  return { ...ledger, push, run };
}

const image = () => imageManifest(describe(content(), configType), []);

test("without a grace a deleted manifest is gone at once", () => {
  for (const [grace, error] of [
    ["0s", "MANIFEST_UNKNOWN"],
    ["1d", undefined],
  ] as const) {
    const { push, change, deleted } = newLedger({ GC_GRACE: grace, SPARSE_MANIFESTS: "accept" });
    const manifest = push(image());
    change((tx) => deleted.remove(tx, manifest, registryItself));
    const restored = change((tx) => deleted.restore(tx, manifest, registryItself));
    assert.equal(restored.ok ? undefined : restored.error, error);
  }
});

test("a manifest that is pushed again keeps its bytes when the grace of its deletion is over", async () => {
  const { push, change, deleted, manifests, run } = newLedger();
  const bytes = image();
  const manifest = push(bytes);
  change((tx) => deleted.remove(tx, manifest, registryItself));
  push(bytes);
  await run("purge", manifest);
  assert.deepEqual(manifests.read(manifest)?.bytes, bytes);
});

test("a manifest that is pushed without a tag is removed in its time, and one that refers to another is not", () => {
  const { push, due } = newLedger({ UNTAGGED_TTL: "1d" });
  const bytes = image();
  const untagged = push(bytes);
  const subject = describe(bytes, imageManifestType);
  const referrer = push(imageManifest(describe(content(), configType), [], { subject }));
  assert.deepEqual(
    [untagged, referrer].map((each) => due.at("untagged", each) !== undefined),
    [true, false],
  );
});

test("a blob goes in its time that a manifest names no more, as it was pushed again with another type", () => {
  const { push, change, blobs, manifests, sql, clock, settings } = newLedger();
  const config = content();
  const blob = { digest: digestOfContent(config, "sha256"), key: "blobs/1", sizeBytes: config.byteLength };
  change((tx) => blobs.write(tx, blob, clock.nowMs));
  const bytes = imageManifest(describe(config, configType), []);
  const manifest = push(bytes);
  const unlinkAt = () => sql.exec("SELECT unlink_at AS at FROM blobs").one().at;
  assert.equal(unlinkAt(), null);
  const facts = { mediaType: "application/vnd.example", references: [] };
  const put = { repository, digest: manifest, bytes, facts, tags: [], origin: registryItself, sparse: true };
  change((tx) => manifests.store(tx, put));
  assert.equal(unlinkAt(), clock.nowMs + settings.gcGraceMs);
});

test("what only a deleted index listed is removed in its time, and what another lists is not", () => {
  const { push, change, deleted, due, clock, settings } = newLedger({ UNTAGGED_TTL: "1d", GC_GRACE: "3d" });
  const [one, both] = [image(), image()];
  for (const bytes of [one, both]) push(bytes);
  const listing = (...listed: Uint8Array[]) =>
    push(imageIndex(listed.map((each) => describe(each, imageManifestType))), imageIndexType);
  const index = listing(one, both);
  listing(both);
  change((tx) => {
    for (const bytes of [one, both]) due.clear(tx, "untagged", digestOfContent(bytes, "sha256"));
    deleted.remove(tx, index, registryItself);
  });
  const dueAt = (bytes: Uint8Array) => due.at("untagged", digestOfContent(bytes, "sha256"));
  // Not while the index can be restored.
  assert.deepEqual([dueAt(one), dueAt(both)], [clock.nowMs + settings.gcGraceMs, undefined]);
});

test("nothing is removed as untagged by a policy that holds no more, though the ledger was not told", async () => {
  for (const isHeld of [true, false]) {
    const remove = { tags: ["none"], untaggedAfter: "2d" };
    const { push, document, features, manifestCount, clock, due, settle } = policedLedger({ remove });
    const id = push(image(), imageManifestType);
    await settle();
    const at = due.at("untagged", id) ?? 0;
    if (!isHeld) document.current = { version: 9, rules: [], putAtMs: clock.nowMs, putBy: "admin" };
    clock.nowMs += 3 * dayMs;
    await jobsOf(features).untagged?.([{ id, at }]);
    assert.equal(manifestCount(), isHeld ? 0 : 1);
  }
});

test("what is pushed again, or said to exist, while the policy is read is not removed as untagged", async () => {
  const bytes = image();
  const renewals: [(ledger: ReturnType<typeof policedLedger>, id: Digest) => unknown, left: number][] = [
    [() => {}, 0],
    [({ push }) => push(bytes, imageManifestType), 1],
    [({ untagged }, id) => untagged.renew(id), 1],
  ];
  for (const [renew, left] of renewals) {
    const ledger = policedLedger({ remove: { tags: ["none"], untaggedAfter: "2d" } });
    const { push, features, manifestCount, clock, due, settle } = ledger;
    const id = push(bytes, imageManifestType);
    await settle();
    clock.nowMs += 2 * dayMs;
    const running = jobsOf(features).untagged?.([{ id, at: due.at("untagged", id) ?? 0 }]);
    renew(ledger, id);
    await running;
    assert.equal(manifestCount(), left);
    clock.nowMs += 2 * dayMs;
    await settle();
    assert.equal(manifestCount(), 0);
  }
});

/** Rules by which what is untagged is removed after a time, or not at all. */
const after = (untaggedAfter?: string) =>
  untaggedAfter === undefined ? {} : { remove: { tags: ["none"], untaggedAfter } };

/** Another time is put a day after an image was pushed, which then goes after that time. */
async function changesTime(isTold: boolean) {
  for (const [first, then, daysKept, daysUntilGone] of [
    ["2d", "30d", 29, 3],
    ["30d", "2d", 1, 3],
  ] as const) {
    const { image, settle, pass, put, document, manifestCount, clock } = policedLedger(after(first));
    image();
    await settle();
    await pass(1);
    const rules = [{ repositories: ["**"], ...after(then) }];
    if (isTold) put(after(then));
    else document.current = { version: 9, rules, putAtMs: clock.nowMs, putBy: "admin" };
    await pass(daysKept);
    assert.equal(manifestCount(), 1, then);
    await pass(daysUntilGone);
    assert.equal(manifestCount(), 0, then);
  }
}

test("what is scheduled as untagged goes by the time that holds, once the ledger is told of another", () =>
  changesTime(true));

test("and also where only the job learns of it", () => changesTime(false));

test("what is untagged is looked for once for each time that holds, and not by every alarm", async () => {
  const { put, pass, untagged, due } = policedLedger(after("2d"));
  const looks = () => {
    untagged.scanIfNew();
    return due.has("untagged-scan");
  };
  assert.equal(looks(), true);
  await pass(1);
  assert.equal(looks(), false);
  put(after("3d"));
  assert.equal(looks(), true);
});

test("what was scheduled by the time that holds stays so, however late all is looked through", async () => {
  const { image, settle, due, clock, manifestCount } = policedLedger(after("2d"));
  const { digest } = image();
  const goesAt = due.at("untagged", digest);
  assert.equal(goesAt, clock.nowMs + 2 * dayMs);
  clock.nowMs += dayMs;
  await settle();
  assert.equal(due.at("untagged", digest), goesAt);
  clock.nowMs += dayMs;
  await settle();
  assert.equal(manifestCount(), 0);
});

test("what is pushed again, or said to exist, while the untagged is kept has its whole time when that ends", async () => {
  const bytes = image();
  const renewals: ((ledger: ReturnType<typeof policedLedger>, id: Digest) => unknown)[] = [
    ({ push }) => push(bytes, imageManifestType),
    ({ untagged }, id) => untagged.renew(id),
  ];
  for (const renew of renewals) {
    const ledger = policedLedger(after("2d"));
    const { push, pass, put, manifestCount } = ledger;
    const id = push(bytes, imageManifestType);
    await pass(1);
    put(after());
    renew(ledger, id);
    put(after("2d"));
    await pass(2);
    assert.equal(manifestCount(), 1);
    await pass(1);
    assert.equal(manifestCount(), 0);
  }
});

test("a shard is told of blobs that were given up until it has heard of them", async () => {
  const heard: Digest[][] = [];
  let release = (): Promise<void> => Promise.reject(new Error("out of reach"));
  const shard = {
    release: async (_: string, digests: Digest[]) => {
      await release();
      heard.push(digests);
    },
  };
  const { change, unlinking, due, features, clock } = memoryLedger({
    BLOB_SHARDS: namespaceOf(shard),
  } as unknown as Partial<Env>);
  const giveUp = () => change((tx) => unlinking.releaseLater(tx, [digest]));
  giveUp();
  const tell = () => jobsOf(features).release?.([{ id: digest, at: due.at("release", digest) ?? 0 }]);
  await assert.rejects(tell() ?? Promise.resolve());
  assert(due.has("release"));
  // The blob is given up once more before the shard has answered.
  release = async () => {
    clock.nowMs += 1;
    giveUp();
  };
  await tell();
  assert.deepEqual([heard, due.has("release")], [[[digest]], true]);
  release = async () => {};
  await tell();
  assert.deepEqual([heard, due.has("release")], [[[digest], [digest]], false]);
});

test("a lease that was said no to is void, with all before it, for longer than any lease is valid", async () => {
  const { leases, change, clock, due, run } = newLedger();
  change((tx) => leases.add(tx, [{ digest, lease: 7 }]));
  assert.equal(due.at("forget-leases", ""), clock.nowMs + hourMs);
  // A question that comes late.
  change((tx) => leases.add(tx, [{ digest, lease: 5 }]));
  const void_ = () => [6, 7, 8].map((lease) => leases.isVoid({ digest, lease }));
  assert.deepEqual(void_(), [true, true, false]);
  clock.nowMs += hourMs - 1;
  await run("forget-leases");
  assert.deepEqual(void_(), [true, true, false]);
  assert(due.has("forget-leases"));
  clock.nowMs += 1;
  await run("forget-leases");
  assert.deepEqual(void_(), [false, false, false]);
  assert(!due.has("forget-leases"));
});

test("an upload session that has ended is forgotten when no client can come back to it", async () => {
  const { sessions, change, clock, due, settings, run } = newLedger();
  change((tx) => sessions.close(tx, "a", null));
  assert.equal(due.at("forget-sessions", ""), clock.nowMs + settings.uploadTtlMs);
  clock.nowMs += settings.uploadTtlMs - 1;
  await run("forget-sessions");
  assert.equal(sessions.state("a").state, "cancelled");
  clock.nowMs += 1;
  await run("forget-sessions");
  assert.equal(sessions.state("a").state, "open");
});

test("moves of a tag are forgotten when they are old, and not before", async () => {
  const { tags, change, clock, due, settings, run } = newLedger({ TAG_HISTORY_DAYS: "2" });
  const tag = "latest" as Tag;
  change((tx) => tags.move(tx, tag, digest, registryItself));
  assert.equal(due.at("forget-history", ""), clock.nowMs + settings.tagHistoryMs);
  clock.nowMs += dayMs;
  change((tx) => tags.move(tx, tag, undefined, registryItself));
  const kept = () => tags.history(tag, Number.MAX_SAFE_INTEGER, 9).entries.length;
  clock.nowMs += dayMs;
  await run("forget-history");
  assert.equal(kept(), 2);
  clock.nowMs += 1;
  await run("forget-history");
  assert.equal(kept(), 1);
  assert(due.has("forget-history"));
});
