/** The bucket on files, where one of them is not what it was. */
import assert from "node:assert/strict";
import test from "node:test";
import { BucketFailed } from "../../src/storage/bucket.ts";
import { DiskBucket } from "../../src/storage/disk-bucket.ts";

const key = "blobs/11111111-1111-4111-8111-111111111111";
const names = ["22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"];

/** A bucket that has these parts under the key, of which its index says that each has four bytes. */
function bucketOf(...parts: (string | undefined)[]): DiskBucket {
  const files = new Map<string, string>();
  for (const [index, part] of parts.entries())
    if (part !== undefined) files.set(`${key}/${names[index]}`, part);
  files.set(`${key}/index`, JSON.stringify(parts.map((_, index) => ({ name: names[index], sizeBytes: 4 }))));
  const service = {
    fetch: async (url: string) => {
      const text = files.get(new URL(url).pathname.slice(1));
      if (text === undefined) return new Response(null, { status: 404 });
      return new Response(text, { headers: { "Content-Length": String(text.length) } });
    },
  };
  return new DiskBucket(service as unknown as Fetcher, { fetch: () => assert.fail("nothing is written") });
}

test("parts that are whole are read one after the other", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const bucket = bucketOf("abcd", "efgh");
  const piping = bucket
    .pipe({ key, sizeBytes: 8 }, { offset: 0, length: 8 }, writable)
    .then(async (isThere) => {
      await writable.close();
      return isThere;
    });
  assert.equal(await new Response(readable).text(), "abcdefgh");
  assert.equal(await piping, true);
  assert.equal(await bucket.sizeOf(key), 8);
});

test("a part that is missing or cut short breaks the read that has begun, and the key has no size", async () => {
  for (const second of [undefined, "ef"]) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const bucket = bucketOf("abcd", second);
    const reading = new Response(readable).text();
    const piping = bucket.pipe({ key, sizeBytes: 8 }, { offset: 0, length: 8 }, writable);
    await assert.rejects(piping, BucketFailed);
    await writable.close();
    assert.equal(await reading, "abcd");
    assert.equal(await bucket.sizeOf(key), undefined);
  }
});

test("parts that have another size together than is expected are not read", async () => {
  const bucket = bucketOf("abcd", "efgh");
  for (const sizeBytes of [7, 9])
    assert.equal(
      await bucket.pipe({ key, sizeBytes }, { offset: 0, length: 7 }, new WritableStream()),
      false,
    );
});

test("an index that names what is no part is damaged", async () => {
  for (const name of ["index", "../33333333-3333-4333-8333-333333333333", "whole"]) {
    const text = JSON.stringify([{ name, sizeBytes: 4 }]);
    const service = {
      fetch: async (url: string) =>
        url.endsWith("/index") ? new Response(text) : new Response(null, { status: 404 }),
    };
    const bucket = new DiskBucket(service as unknown as Fetcher, { fetch: () => assert.fail() });
    assert.equal(await bucket.findFiles({ key, sizeBytes: 4 }, { offset: 0, length: 0 }), undefined);
  }
});
