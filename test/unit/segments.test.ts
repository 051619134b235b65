/** The hashes of the segments of large blobs, and the scrub that reads one after the other. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { writeTombstone } from "../../src/objects/blob-shard/deletion.ts";
import { makeShardParts } from "../../src/objects/blob-shard/parts.ts";
import { scrubDigests } from "../../src/objects/blob-shard/scrub.ts";
import { RunningHash, segmentBytes } from "../../src/objects/running-hash.ts";
import type { ByteRange } from "../../src/oci/http.ts";
import type { Bucket, StoredBytes } from "../../src/storage/bucket.ts";
import "../support/byte-streams.ts";
import { memoryStorage } from "../support/sqlite.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

for (const sizeBytes of [0, 1, 7, 8, 9, 16, 17, 31, 32, 100]) {
  test(`${sizeBytes} bytes have the digest and the segments that they have, however they come`, () => {
    const bytes = Uint8Array.from({ length: sizeBytes }, (_, index) => index * 7);
    for (const pieceBytes of [1, 3, 8, 20, 100]) {
      const hash = new RunningHash("sha256", 8);
      for (let start = 0; start < sizeBytes; start += pieceBytes)
        hash.update(bytes.subarray(start, start + pieceBytes));
      assert(hash.covers(sizeBytes));
      const { digest, segments } = hash.finish();
      assert.equal(digest, `sha256:${sha256(bytes).toString("hex")}`);
      const each = Array.from({ length: Math.ceil(sizeBytes / 8) }, (_, index) =>
        sha256(bytes.subarray(index * 8, index * 8 + 8)),
      );
      assert.deepEqual(segments && Buffer.from(segments), each.length > 1 ? Buffer.concat(each) : undefined);
    }
  });
}

const mebibyte = 1024 * 1024;
const piece = new Uint8Array(mebibyte).fill(1);

/** A bucket whose objects are ones, of which one byte can be made another, and which counts what is read of it. */
class Ones implements Pick<Bucket, "sizeOf" | "read"> {
  readonly sizeBytes: number;
  readBytes = 0;
  damagedAt = -1;

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  async sizeOf(): Promise<number> {
    return this.sizeBytes;
  }

  async read({ sizeBytes }: StoredBytes, range?: ByteRange): Promise<ReadableStream> {
    let at = range?.offset ?? 0;
    const end = at + (range?.length ?? sizeBytes);
    return new ReadableStream({
      type: "bytes",
      pull: (controller) => {
        const bytes = piece.slice(0, Math.min(mebibyte, end - at));
        if (this.damagedAt >= at && this.damagedAt < at + bytes.byteLength) bytes[this.damagedAt - at] = 2;
        at += bytes.byteLength;
        this.readBytes += bytes.byteLength;
        if (bytes.byteLength > 0) controller.enqueue(bytes);
        if (at < end) return;
        controller.close();
        controller.byobRequest?.respond(0);
      },
    });
  }
}

const sizeBytes = 1.25 * segmentBytes;

function hashed() {
  const hash = new RunningHash("sha256");
  for (let at = 0; at < sizeBytes; at += mebibyte) hash.update(piece);
  const { digest, segments = new Uint8Array() } = hash.finish();
  return { digest, segments };
}

const { digest, segments } = hashed();

/** A shard with one blob of a whole segment and a quarter, which was hashed as it came if `isHashed`. */
function shardWithLargeBlob(isHashed: boolean) {
  const bucket = new Ones(sizeBytes);
  const clock = { now: () => 1_700_000_000_000 };
  const parts = makeShardParts(memoryStorage(), {} as Env, clock);
  const shard = { ...parts, bucket: bucket as unknown as Bucket };
  const key = "blobs/large";
  shard.transaction((tx) => {
    shard.store.create(tx);
    shard.store.setBlob(tx, { digest, key, sizeBytes });
    if (isHashed) shard.store.setSegments(tx, key, segments);
  });
  return { shard, bucket, key };
}

test("a scrub of a large blob reads a segment a step, and goes on where it was", async () => {
  const { shard, bucket } = shardWithLargeBlob(true);
  let after = "";
  const reads: number[] = [];
  const checked = { blobs: 0, bytes: 0 };
  for (let step = 0; step < 10; step++) {
    bucket.readBytes = 0;
    const { report, next } = await scrubDigests(shard, after);
    reads.push(bucket.readBytes / segmentBytes);
    checked.blobs += report.checked.blobs;
    checked.bytes += report.checked.bytes;
    assert.deepEqual(report.problems, []);
    if (next === undefined) break;
    after = next;
    assert.match(after, new RegExp(`^${digest}@1$`));
  }
  assert.deepEqual(reads, [1, 0.25]);
  assert.deepEqual(checked, { blobs: 1, bytes: sizeBytes });
});

test("a scrub says which segment of a large blob is damaged, and sees once it is not", async () => {
  const { shard, bucket, key } = shardWithLargeBlob(true);
  bucket.damagedAt = segmentBytes + 5;
  const first = await scrubDigests(shard, "");
  assert.deepEqual(first.report.problems, []);
  const second = await scrubDigests(shard, first.next ?? "");
  const detail = `of its bytes, those from ${segmentBytes} to ${sizeBytes - 1} are others`;
  assert.deepEqual(second.report.problems, [{ what: "blob bytes", digest, key, detail }]);
  assert.equal(second.next, undefined);
  assert.equal(shard.store.fault(digest), "wrong");
  bucket.damagedAt = -1;
  for (let next: string | undefined = ""; next !== undefined; ) ({ next } = await scrubDigests(shard, next));
  assert.equal(shard.store.fault(digest), undefined);
});

test("a large blob whose segments nobody hashed is read whole, and by segments from then on", async () => {
  const { shard, bucket, key } = shardWithLargeBlob(false);
  const whole = await scrubDigests(shard, "");
  assert.deepEqual([whole.report.checked.blobs, whole.next], [1, undefined]);
  assert.equal(bucket.readBytes, sizeBytes);
  assert.deepEqual(shard.store.segments(key), segments);
  bucket.readBytes = 0;
  await scrubDigests(shard, "");
  assert.equal(bucket.readBytes, segmentBytes);
});

test("hashes of segments of another size are not used, and those of deleted bytes are forgotten", async () => {
  const { shard, bucket, key } = shardWithLargeBlob(false);
  shard.transaction((tx) => shard.store.setSegments(tx, key, segments.subarray(32)));
  const { report } = await scrubDigests(shard, "");
  assert.deepEqual([report.problems, bucket.readBytes], [[], sizeBytes]);
  const unwanted = { key, digest, sizeBytes };
  shard.transaction((tx) => writeTombstone(tx, shard, unwanted, "no repository holds it", 0));
  assert.equal(shard.store.segments(key), undefined);
});

test("a step within a digest that is gone goes on after it", async () => {
  const { shard } = shardWithLargeBlob(true);
  shard.transaction((tx) => shard.store.deleteBlob(tx, digest));
  const { report, next } = await scrubDigests(shard, `${digest}@1`);
  assert.deepEqual([report.checked.blobs, next], [0, undefined]);
});
