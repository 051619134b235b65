import assert from "node:assert/strict";
import test from "node:test";
import { expectError } from "../support/answer.ts";
import { bucketUnderTest } from "../support/bucket-under-test.ts";
import { content, digestOf, mebibyte, rangeParts } from "../support/content.ts";
import { hourMs, startTimedRegistry, uploadId } from "../support/timed-registry.ts";

const { registry, advance, runAlarm, failNext, holdNext, collect } = await startTimedRegistry();
/** One in which no other test's blob is due with those of a test: its shard could take the failure in their place. */
const alone = await startTimedRegistry();
const moments = ["before", "after"] as const;
/** Whether the operation fails before or after it did its work, and whether the upload loses its memory then. */
const cases = [
  ["before", false],
  ["after", true],
] as const;
const partBytes = 5 * mebibyte;

/** How many keys the bucket has that are not among some: alarms of other tests may take old ones away meanwhile. */
async function keysBeside(known: string[]): Promise<number> {
  return registry.stored.blobKeys().filter((key) => !known.includes(key)).length;
}

async function finishesAs(bytes: Uint8Array, location: string): Promise<void> {
  const digest = digestOf(bytes);
  const finished = await registry.must(201, "PUT", `${location}?digest=${digest}`);
  const pulled = await registry.must(200, "GET", finished.header("Location"));
  assert.equal(digestOf(pulled.bytes), digest);
}

const isOnDisk = bucketUnderTest.kind === "disk";

for (const operation of ["uploadPart", isOnDisk ? "commit" : "createMultipartUpload"]) {
  for (const [moment, isEvicted] of cases) {
    const then = isEvicted ? ", and the object is evicted" : "";
    test(`a chunk during which ${operation} fails (${moment})${then} is 503, and the upload goes on`, async () => {
      const bytes = content(partBytes + mebibyte);
      const opened = await registry.patch(await registry.openUpload("parts"), bytes.slice(0, mebibyte));
      await failNext(operation, moment);
      expectError(await registry.send("PATCH", opened, { body: bytes.slice(mebibyte) }), 503, "UNAVAILABLE");
      if (isEvicted) await registry.evict("Upload", uploadId(opened));
      const offset = await registry.uploadOffset(opened);
      assert(offset >= mebibyte && offset < bytes.byteLength);
      const range = { "Content-Range": `${offset}-${bytes.byteLength - 1}` };
      await finishesAs(bytes, await registry.patch(opened, bytes.slice(offset), range));
    });
  }
}

const closingFaults: [operation: string, size: number][] = [
  ["put", 1000],
  // On disk the chunk itself left nothing to store.
  [isOnDisk ? "commit" : "uploadPart", partBytes + 1000],
  ["complete", partBytes + 1000],
  ["head", partBytes + 1000],
  ["head", 1000],
];

for (const [operation, size] of closingFaults) {
  for (const [moment, isEvicted] of cases) {
    const then = isEvicted ? ", and the object is evicted" : "";
    test(`closing ${size} bytes, during which ${operation} fails (${moment})${then}, may be repeated`, async () => {
      const bytes = content(size);
      const location = await registry.patch(await registry.openUpload("closing"), bytes);
      await failNext(operation, moment);
      expectError(await registry.send("PUT", `${location}?digest=${digestOf(bytes)}`), 503, "UNAVAILABLE");
      if (isEvicted) await registry.evict("Upload", uploadId(location));
      await registry.must(404, "HEAD", `/v2/closing/blobs/${digestOf(bytes)}`);
      await finishesAs(bytes, location);
    });
  }
}

test("an upload whose closing was cut short while the blob was handed over is finished by its alarm", async () => {
  const bytes = content(1000);
  const digest = digestOf(bytes);
  const location = await registry.patch(await registry.openUpload("handed"), bytes);
  await failNext("head", "before");
  await registry.must(503, "PUT", `${location}?digest=${digest}`);
  await registry.evict("Upload", uploadId(location));
  await advance(60_000);
  await runAlarm("UPLOADS", uploadId(location));
  assert.deepEqual((await registry.must(200, "GET", `/v2/handed/blobs/${digest}`)).bytes, bytes);
  await registry.must(201, "PUT", `${location}?digest=${digest}`);
});

for (const moment of moments) {
  test(`a whole push whose bytes cannot be stored (${moment}) is 503, leaves nothing, and may be repeated`, async () => {
    const before = registry.stored.blobKeys();
    const bytes = content(2 * mebibyte);
    const digest = digestOf(bytes);
    const target = `${await registry.openUpload("whole")}?digest=${digest}`;
    await failNext("put", moment);
    expectError(await registry.send("PUT", target, { body: bytes }), 503, "UNAVAILABLE");
    await registry.must(201, "PUT", target, { body: bytes });
    for (let round = 0; round < 3; round++) {
      await registry.must(200, "HEAD", `/v2/whole/blobs/${digest}`);
      await advance(20 * hourMs);
      await collect(["whole"], [digest]);
    }
    assert.equal(await keysBeside(before), 1);
    assert.equal(digestOf((await registry.must(200, "GET", `/v2/whole/blobs/${digest}`)).bytes), digest);
  });

  test(`a cancelled upload whose parts cannot be deleted (${moment}) is cleaned up later`, async () => {
    const before = registry.stored.blobKeys();
    const location = await registry.patch(await registry.openUpload("cleaned"), content(partBytes + 1));
    await failNext("abort", moment);
    await registry.must(204, "DELETE", location);
    await advance(60_000);
    await runAlarm("UPLOADS", uploadId(location));
    assert.equal(await keysBeside(before), 0);
  });

  test(`bytes that cannot be deleted (${moment}) are deleted later`, async () => {
    const { registry, advance, collect, failNext } = alone;
    const digest = await registry.pushBlob("stuck", content());
    await advance(25 * hourMs);
    await collect(["stuck"], [digest]);
    await failNext("delete", moment);
    await advance(2 * hourMs);
    await collect([], [digest]);
    assert.equal(registry.stored.blobKeys().length, moment === "before" ? 1 : 0);
    await advance(hourMs);
    await collect([], [digest]);
    assert.deepEqual(registry.stored.blobKeys(), []);
  });
}

test("a store that fails between two ranges ends the connection, and the next try is served", async () => {
  const layer = content(mebibyte);
  const path = `/v2/pulled/blobs/${await registry.pushBlob("pulled", layer)}`;
  const asked = { headers: { Range: "bytes=0-9,500000-500009" } };
  const first = await holdNext("get", "after");
  const answer = registry.send("GET", path, asked);
  await first.hasCome();
  await failNext("get", "before");
  await first.letGo();
  await assert.rejects(answer, /aborted|ECONNRESET/);
  const again = await registry.must(206, "GET", path, asked);
  assert.deepEqual(
    rangeParts(again.headers, again.bytes).map((part) => part.bytes),
    [layer.slice(0, 10), layer.slice(500_000, 500_010)],
  );
});

test("a store that fails is 503 for those who pull, and nothing is forgotten", async () => {
  const image = await registry.pushImage("pulled", "latest", [content(mebibyte)]);
  const [layer = ""] = image.layers;
  await failNext("get", "before");
  expectError(await registry.get(`/v2/pulled/blobs/${layer}`), 503, "UNAVAILABLE");
  await registry.pullImage("pulled", "latest", image);
});
