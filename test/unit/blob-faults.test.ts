/** What a shard makes of bytes that it cannot read, or that are not what they should be. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { deleteTombstoned, writeTombstone } from "../../src/objects/blob-shard/deletion.ts";
import { conditionOf, examine, readAgain, readAgainJob } from "../../src/objects/blob-shard/faults.ts";
import { grantLease } from "../../src/objects/blob-shard/holders.ts";
import { makeShardParts } from "../../src/objects/blob-shard/parts.ts";
import { scrubDigests } from "../../src/objects/blob-shard/scrub.ts";
import { segmentBytes } from "../../src/objects/running-hash.ts";
import { scheduleScrub } from "../../src/objects/scrub/schedule.ts";
import { type Digest, digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import { scrubJob } from "../../src/rpc/scrub-report.ts";
import "../support/byte-streams.ts";
import { content } from "../support/content.ts";
import { namespaceOf } from "../support/namespace.ts";
import { memoryStorage } from "../support/sqlite.ts";

const digest: Digest = digestOfContent(content(), "sha256");
const blob = { digest, key: "blobs/old", sizeBytes: 1 };
const hourMs = 3_600_000;

/** A shard with one blob. Of its bucket, one other key can be read, and `sizeOf` is what tests say of the blob. */
function shardOf(
  sizeOf: (key: string) => Promise<number | undefined>,
  sizeBytes = blob.sizeBytes,
  ledger: object = {},
) {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const env = { LEDGERS: namespaceOf(ledger) } as unknown as Env;
  const parts = makeShardParts(memoryStorage(), env, clock);
  const deleted: string[] = [];
  const bucket = {
    ...parts.bucket,
    list: async () => ({ objects: [{ key: "blobs/other", storedAtMs: 0 }], cursor: undefined }),
    read: async () => new Blob(["1"]).stream(),
    sizeOf: async (key: string) => (key === "blobs/other" ? 1 : sizeOf(key)),
    delete: async (keys: string[]) => void deleted.push(...keys),
  };
  const shard = { ...parts, bucket };
  shard.transaction((tx) => {
    shard.store.create(tx);
    shard.store.setBlob(tx, { ...blob, sizeBytes });
  });
  return { shard, clock, deleted };
}

const unreadable = () => Promise.reject(new Error("input/output error"));

test("what is found of bytes that were replaced meanwhile says nothing of those that are there", async () => {
  for (const answer of [async () => 2, unreadable]) {
    const { shard } = shardOf(async () => {
      shard.transaction((tx) => shard.store.setBlob(tx, { ...blob, key: "blobs/new" }));
      return answer();
    });
    assert.equal(await examine(shard, blob), undefined);
    assert.equal(shard.store.fault(digest), undefined);
    assert.equal(shard.store.readFailures(blob.key), undefined);
    assert.equal(shard.due.at(readAgainJob, digest), undefined);
  }
});

test("bytes that could not be read twice, however long ago, are tried once more before they are at fault", async () => {
  const { shard, clock } = shardOf(unreadable);
  const faults: unknown[] = [];
  for (let tries = 0; tries < 3; tries++) {
    await examine(shard, blob);
    faults.push(shard.store.fault(digest));
    clock.nowMs += 2 * hourMs;
  }
  assert.deepEqual(faults, [undefined, undefined, "unreadable"]);
});

test("tries count for nothing while no other key can be read either, and once the bytes were read", async () => {
  const { shard } = shardOf(unreadable);
  const { list } = shard.bucket;
  shard.bucket.list = unreadable;
  await examine(shard, blob);
  assert.equal(shard.store.readFailures(blob.key), undefined);
  shard.bucket.list = list;
  await examine(shard, blob);
  assert.equal(shard.store.readFailures(blob.key)?.tries, 1);
  shard.bucket.sizeOf = async () => 2;
  await examine(shard, blob);
  assert.equal(shard.store.readFailures(blob.key), undefined);
});

test("bytes are deleted though the bucket does not say how many they are", async () => {
  const { shard, deleted } = shardOf(unreadable);
  const key = "blobs/cut";
  shard.transaction((tx) => writeTombstone(tx, shard, { key, digest }, "its upload was cut short", 0));
  await deleteTombstoned(shard, [{ id: key, at: 0 }]);
  assert.deepEqual(deleted, [key]);
  assert.equal(shard.store.scheduledDeletion(key)?.state, "deleted");
});

test("one run reads so many bytes again, and leaves the rest to the next one", async () => {
  const looked: string[] = [];
  const { shard } = shardOf(
    async (key) => {
      looked.push(key);
      return 0;
    },
    512 * 1024 * 1024,
  );
  const other: Digest = digestOfContent(content(), "sha256");
  const gone: Digest = digestOfContent(content(), "sha256");
  shard.transaction((tx) => {
    shard.store.setBlob(tx, { digest: other, key: "blobs/next", sizeBytes: 1 });
    for (const each of [digest, other, gone]) shard.due.set(tx, readAgainJob, each, 0);
  });
  await readAgain(
    shard,
    [digest, other, gone].map((id) => ({ id, at: 0 })),
  );
  assert.deepEqual(looked, [blob.key]);
  // What was read is done, and so is what is not there any more.
  assert.deepEqual(
    [digest, other, gone].map((each) => shard.due.at(readAgainJob, each)),
    [undefined, 0, undefined],
  );
});

test("bytes about which there is a doubt are lent only once all of them were read", async () => {
  const { shard } = shardOf(async () => blob.sizeBytes);
  shard.bucket.read = async () => undefined as never;
  assert.equal(await conditionOf(shard, blob), "good");
  shard.transaction((tx) => shard.store.addReadFailure(tx, blob.key, 0));
  assert.equal(await conditionOf(shard, blob), "wrong");
});

test("a scrub tells a ledger of another location only if good bytes are there, and still are", async () => {
  for (const [sizeBytes, isReplaced, expected] of [
    [0, false, [blob.key]],
    [0, true, []],
    [1, false, []],
  ] as const) {
    const relocated: string[] = [];
    const ledger = {
      locateBlob: async () => {
        if (isReplaced) shard.transaction((tx) => shard.store.setBlob(tx, { ...empty, key: "blobs/new" }));
        return { ...empty, key: "blobs/before" };
      },
      relocateBlob: async ({ key }: { key: string }) => void relocated.push(key),
    };
    const empty = { digest: digestOfContent(new Uint8Array(), "sha256"), key: blob.key, sizeBytes: 0 };
    const { shard } = shardOf(async () => sizeBytes, 0, ledger);
    shard.bucket.read = async () => new Blob([]).stream();
    shard.transaction((tx) => {
      shard.store.deleteBlob(tx, digest);
      shard.store.setBlob(tx, empty);
      grantLease(tx, shard, empty, "team/app" as RepositoryName);
    });
    await scrubDigests(shard, "");
    assert.deepEqual(relocated, expected);
  }
});

test("a step of a scrub ends with the blob that reaches its bytes", async () => {
  const { shard } = shardOf(async () => 0, segmentBytes);
  const other: Digest = digestOfContent(content(), "sha256");
  shard.transaction((tx) => shard.store.setBlob(tx, { ...blob, digest: other, sizeBytes: segmentBytes }));
  const [first] = [digest, other].sort();
  const { report, next } = await scrubDigests(shard, "");
  assert.deepEqual([report.checked.blobs, next], [1, first]);
});

test("a scrub that is due is not put off by what comes in between", () => {
  const { shard, clock } = shardOf(unreadable);
  const schedule = () => shard.transaction((tx) => scheduleScrub(tx, shard));
  schedule();
  const at = shard.due.at(scrubJob, "");
  assert.notEqual(at, undefined);
  clock.nowMs += hourMs;
  schedule();
  assert.equal(shard.due.at(scrubJob, ""), at);
});
