/** Several ranges of what is stored, by few reads of the bucket. */
import assert from "node:assert/strict";
import test from "node:test";
import type { ByteRange } from "../../src/oci/http.ts";
import { type Bucket, BucketFailed } from "../../src/storage/bucket.ts";
import { readRanges } from "../../src/storage/read-ranges.ts";
import { content } from "../support/content.ts";
import "../support/byte-streams.ts";

const stored = { key: "blobs/1", sizeBytes: 1_000_000 };
const bytes = content(stored.sizeBytes);

/** A bucket that answers the reads of these numbers with nothing, or with too few bytes; and what it was asked for. */
function bucketOf({ missing = -1, short = -1 } = {}) {
  const reads: ByteRange[] = [];
  const left = new Set<number>();
  const read = async (_: unknown, range: ByteRange) => {
    const number = reads.push(range) - 1;
    if (number === missing) return undefined;
    left.add(number);
    const lack = number === short ? 1 : 0;
    let rest = bytes.slice(range.offset, range.offset + range.length - lack);
    return new ReadableStream({
      type: "bytes",
      pull: (controller) => {
        if (rest.byteLength > 0) controller.enqueue(rest.slice(0, 100));
        rest = rest.subarray(100);
        if (rest.byteLength > 0) return;
        left.delete(number);
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel: () => {
        left.delete(number);
      },
    });
  };
  return { bucket: { read } as unknown as Bucket, reads, left };
}

/** The bytes of each range. */
async function readAll(bucket: Bucket, ranges: ByteRange[]): Promise<Uint8Array[]> {
  const pieces: Uint8Array[][] = ranges.map(() => []);
  for await (const { index, bytes } of (await readRanges(bucket, stored, ranges)) ?? [])
    pieces[index]?.push(bytes.slice());
  return pieces.map((each) => Buffer.concat(each));
}

const near = [
  { offset: 0, length: 250 },
  { offset: 300, length: 50 },
];
const far = { offset: 500_000, length: 250 };
const farther = Array.from({ length: 6 }, (_, index) => ({ offset: 600_000 + index * 70_000, length: 1 }));

test("ranges come in the order asked, those that are close by one read", async () => {
  const { bucket, reads } = bucketOf();
  const ranges = [...near, far, { offset: 400, length: 10 }];
  const found = await readAll(bucket, ranges);
  for (const [index, { offset, length }] of ranges.entries())
    assert.deepEqual(Buffer.from(found[index] ?? []), Buffer.from(bytes.slice(offset, offset + length)));
  assert.deepEqual(reads, [{ offset: 0, length: 350 }, far, { offset: 400, length: 10 }]);
});

test("ranges that are 64 KiB apart are read for themselves", async () => {
  const [one, other] = [
    { offset: 0, length: 1 },
    { offset: 65_537, length: 1 },
  ];
  const { bucket, reads } = bucketOf();
  await readAll(bucket, [one, other]);
  assert.deepEqual(reads, [one, other]);
});

test("bytes that are missing, or end too early, break the answer off", async () => {
  await assert.rejects(readAll(bucketOf({ missing: 1 }).bucket, [...near, far]), BucketFailed);
  await assert.rejects(readAll(bucketOf({ short: 0 }).bucket, near), BucketFailed);
  await assert.rejects(readAll(bucketOf({ short: 1 }).bucket, [...near, far]), BucketFailed);
  assert.equal(await readRanges(bucketOf({ missing: 0 }).bucket, stored, near), undefined);
});

test("whoever stops leaves no read open", async () => {
  const { bucket, reads, left } = bucketOf();
  const pieces = await readRanges(bucket, stored, [...farther, far]);
  await pieces?.next();
  await pieces?.return(undefined);
  await new Promise(setImmediate);
  assert.deepEqual([reads.length, left.size], [4, 0]);
});
