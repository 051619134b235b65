/** The bucket on R2, where an object is not what it was, or R2 fails. */
import assert from "node:assert/strict";
import test from "node:test";
import { BucketFailed, R2BlobBucket } from "../../src/storage/bucket.ts";

/** A bucket whose R2 answers every `get` with an object of this size, or with an error; and how many bodies were given up. */
function bucketOf(size: number | Error) {
  const cancelled = { count: 0 };
  const get = async () => {
    if (size instanceof Error) throw size;
    const cancel = () => {
      cancelled.count++;
    };
    const pull = (controller: ReadableStreamDefaultController) => controller.close();
    return { size, body: new ReadableStream({ pull, cancel }, { highWaterMark: 0 }) };
  };
  return { bucket: new R2BlobBucket({ get } as unknown as R2Bucket), cancelled };
}

const stored = { key: "blobs/1", sizeBytes: 5 };
const range = { offset: 0, length: 5 };

test("an object of another size is not read, and its body is given up", async () => {
  const { bucket, cancelled } = bucketOf(4);
  assert.equal(await bucket.pipe(stored, range, new WritableStream()), false);
  assert.equal(cancelled.count, 1);
});

test("a range that R2 says is not there is not there, and any other error is a failure", async () => {
  const { bucket } = bucketOf(new Error("get: the requested range is not satisfiable (10039)"));
  assert.equal(await bucket.pipe(stored, range, new WritableStream()), false);
  const failing = bucketOf(new Error("get: internal error (10001)"));
  await assert.rejects(failing.bucket.pipe(stored, range, new WritableStream()), BucketFailed);
});

test("an upload that R2 does not know is aborted, and not completed", async () => {
  const fail = async () => {
    throw new Error("the specified multipart upload does not exist (10024)");
  };
  const r2 = { resumeMultipartUpload: () => ({ abort: fail, complete: fail }) };
  const bucket = new R2BlobBucket(r2 as unknown as R2Bucket);
  const upload = { key: "blobs/1", uploadId: "1" };
  await bucket.abortMultipart(upload);
  assert.equal(await bucket.completeMultipart(upload, []), "unknown");
});
