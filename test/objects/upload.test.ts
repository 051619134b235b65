import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { expectError } from "../support/answer.ts";
import { bucketUnderTest } from "../support/bucket-under-test.ts";
import { content, digestOf, mebibyte, unknownDigest } from "../support/content.ts";
import { head, OpenRequest } from "../support/raw.ts";
import { until } from "../support/registry.ts";
import { temporaryData } from "../support/temporary.ts";
import { hourMs, startTimedRegistry, uploadId } from "../support/timed-registry.ts";

const isOnDisk = bucketUnderTest.kind === "disk";
const { registry, advance, runAlarm } = await startTimedRegistry({ vars: { UPLOAD_STALL: "1h" } });

const partBytes = 5 * mebibyte;
/** From how many bytes on an upload has parts. */
const leastBytesOfParts = isOnDisk ? mebibyte : partBytes;

async function pushInChunks(
  bytes: Uint8Array,
  ends: number[],
  afterChunk: (location: string) => Promise<void>,
) {
  let location = await registry.openUpload("chunks");
  let start = 0;
  for (const end of [...ends, bytes.byteLength]) {
    if (end === start) continue;
    location = await registry.patch(location, bytes.slice(start, end), {
      "Content-Range": `${start}-${end - 1}`,
    });
    start = end;
    await afterChunk(location);
  }
  return location;
}

async function finishesAs(bytes: Uint8Array, location: string): Promise<void> {
  const digest = digestOf(bytes);
  const finished = await registry.must(201, "PUT", `${location}?digest=${digest}`);
  const pulled = await registry.must(200, "GET", finished.header("Location"));
  assert.equal(digestOf(pulled.bytes), digest);
}

const aroundParts = [1, partBytes - 1, partBytes, partBytes + 1, 2 * partBytes, 2 * partBytes + 1];

test("chunks of any length become the blob, also around the size of parts", async () => {
  const bytes = content(2 * partBytes + 10);
  await finishesAs(bytes, await pushInChunks(bytes, aroundParts, async () => {}));
});

test("an upload that is evicted after every chunk is read back, and is the same", async () => {
  const bytes = content(2 * partBytes + 10);
  const location = await pushInChunks(bytes, aroundParts, (each) => registry.evict("Upload", uploadId(each)));
  await finishesAs(bytes, location);
});

test("chunks of any length, with evictions anywhere, become the blob", async () => {
  const sizes = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 2 * mebibyte }));
  const chunks = fc.array(fc.record({ size: sizes, isEvicted: fc.boolean() }), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(chunks, async (plan) => {
      const bytes = content(plan.reduce((sum, chunk) => sum + chunk.size, 0));
      const ends = plan.map((_, index) =>
        plan.slice(0, index + 1).reduce((sum, chunk) => sum + chunk.size, 0),
      );
      const evictions = plan.map((chunk) => chunk.isEvicted);
      const location = await pushInChunks(bytes, ends, async (each) => {
        if (evictions.shift()) await registry.evict("Upload", uploadId(each));
      });
      await finishesAs(bytes, location);
    }),
    { numRuns: 5 },
  );
});

test("a hash that was lost is not taken for that of what came after", async () => {
  const bytes = content(partBytes + 1000);
  const location = await registry.patch(await registry.openUpload("chunks"), bytes.slice(0, 100));
  await registry.evict("Upload", uploadId(location));
  await registry.patch(location, bytes.slice(100));
  const rest = digestOf(bytes.slice(100));
  expectError(await registry.send("PUT", `${location}?digest=${rest}`), 400, "DIGEST_INVALID");
  assert.equal(registry.stored.openMultiparts(), 0);
});

/** Uploads that have received a little, or some parts. */
const beginnings: Record<string, number[]> = {
  "one byte": [1],
  "less than a part": [mebibyte],
  "a part and a rest": [partBytes - 1, partBytes + 10],
};

type Ending = (location: string) => Promise<void>;

const endings: Record<string, Ending> = {
  "is cancelled": async (location) => {
    await registry.must(204, "DELETE", location);
  },
  "is cancelled after it was evicted": async (location) => {
    await registry.evict("Upload", uploadId(location));
    await registry.must(204, "DELETE", location);
  },
  "is closed with a wrong digest": async (location) => {
    await registry.must(400, "PUT", `${location}?digest=${unknownDigest()}`);
  },
  "is closed with a wrong digest after it was evicted": async (location) => {
    await registry.evict("Upload", uploadId(location));
    await registry.must(400, "PUT", `${location}?digest=${unknownDigest("sha512")}`);
  },
  "nobody comes back to": async (location) => {
    await advance(25 * hourMs);
    await runAlarm("UPLOADS", uploadId(location));
  },
};

for (const [how, end] of Object.entries(endings)) {
  for (const [what, ends] of Object.entries(beginnings)) {
    test(`an upload of ${what} that ${how} leaves nothing in the store`, async () => {
      const keys = registry.stored.blobKeys();
      const location = await pushInChunks(content(Math.max(...ends)), ends, async () => {});
      assert.equal(registry.stored.openMultiparts(), Math.max(...ends) >= leastBytesOfParts ? 1 : 0);
      await end(location);
      assert.deepEqual(registry.stored.blobKeys(), keys);
      assert.equal(registry.stored.openMultiparts(), 0);
      for (const method of ["GET", "PATCH", "DELETE"]) {
        expectError(await registry.send(method, location), 404, "BLOB_UPLOAD_UNKNOWN");
      }
    });
  }
}

test("an upload that is used lives on", async () => {
  const bytes = content(1000);
  let location = await registry.openUpload("long");
  for (let start = 0; start < 1000; start += 250) {
    location = await registry.patch(location, bytes.slice(start, start + 250));
    await advance(20 * hourMs);
    await runAlarm("UPLOADS", uploadId(location));
  }
  await finishesAs(bytes, location);
});

test("an upload that is used all the time ends before its parts are given up by R2", async () => {
  const keys = registry.stored.blobKeys();
  let location = await registry.patch(await registry.openUpload("too-long"), content(partBytes));
  for (let hours = 0; hours < 6.5 * 24; hours += 13) {
    location = await registry.patch(location, content(10));
    await advance(13 * hourMs);
    if (hours % 2 === 0) await runAlarm("UPLOADS", uploadId(location));
  }
  for (const method of ["PATCH", "GET", "PUT", "DELETE"]) {
    const target = method === "PUT" ? `${location}?digest=${digestOf(content(1))}` : location;
    expectError(await registry.send(method, target), 404, "BLOB_UPLOAD_UNKNOWN");
  }
  assert.equal(registry.stored.openMultiparts(), 0);
  assert.deepEqual(registry.stored.blobKeys(), keys);
});

test("a finished upload answers its closing PUT again for a day, and is then forgotten", async () => {
  const bytes = content(1000);
  const location = await registry.patch(await registry.openUpload("finished"), bytes);
  const target = `${location}?digest=${digestOf(bytes)}`;
  for (let time = 0; time < 2; time++) {
    await registry.must(201, "PUT", target);
    await registry.evict("Upload", uploadId(location));
    await advance(10 * hourMs);
    await runAlarm("UPLOADS", uploadId(location));
  }
  await registry.must(201, "PUT", target);
  await advance(15 * hourMs);
  await runAlarm("UPLOADS", uploadId(location));
  expectError(await registry.send("PUT", target), 404, "BLOB_UPLOAD_UNKNOWN");
  await registry.must(200, "HEAD", `/v2/finished/blobs/${digestOf(bytes)}`);
});

test("a writer that stalls gives way to one that goes on where the upload stands", async () => {
  const bytes = content(partBytes + 2 * mebibyte);
  const location = await registry.openUpload("stalled");
  const length = { "Content-Length": String(bytes.byteLength) };
  const writer = new OpenRequest(registry.url, head("PATCH", location, length));
  // On disk a part ends with its request, or at 64 MiB.
  const kept = isOnDisk ? 0 : partBytes;
  const isKept = () => until("what is kept", async () => (await registry.uploadOffset(location)) === kept);
  await writer.write(bytes.slice(0, kept));
  // After that it sends what the other one will not: mixed, they would not be the blob.
  await writer.write(content(mebibyte));
  await isKept();
  const goOn = (offset: number) =>
    registry.send("PATCH", location, {
      headers: { "Content-Range": `${offset}-${bytes.byteLength - 1}` },
      body: bytes.slice(offset),
    });
  expectError(await goOn(kept), 409, "BLOB_UPLOAD_INVALID");
  await advance(hourMs);
  expectError(await goOn(kept + 1), 409, "BLOB_UPLOAD_INVALID");
  const next = await goOn(kept);
  assert.equal(next.status, 202, next.text);
  assert.equal((await writer.answer())?.status, 409);
  writer.cut();
  await finishesAs(bytes, next.header("Location"));
});

test("a session of which nobody sent bytes ends with its time, and costs nothing", async () => {
  const location = await registry.openUpload("never/begun");
  await advance(25 * hourMs);
  expectError(await registry.get(location), 404, "BLOB_UPLOAD_UNKNOWN");
  expectError(await registry.get("/v2/never/begun/tags/list"), 404, "NAME_UNKNOWN");
});

test("closing PUTs at once are all answered, and store one blob", async () => {
  const bytes = content(partBytes + 10);
  const location = await registry.patch(await registry.openUpload("closing"), bytes);
  const target = `${location}?digest=${digestOf(bytes)}`;
  const answers = await Promise.all(Array.from({ length: 5 }, () => registry.send("PUT", target)));
  const statuses = answers.map((answer) => answer.status);
  assert(
    statuses.includes(201) && statuses.every((status) => status === 201 || status === 409),
    String(statuses),
  );
  await registry.must(201, "PUT", target);
});

test("an upload goes on with the parts it began with when their size is set anew", async () => {
  const data = temporaryData();
  const bytes = content(21 * mebibyte);
  const before = await startTimedRegistry({ dataDirectory: data, vars: { UPLOAD_PART_SIZE: "8MiB" } });
  let location = await before.registry.openUpload("resized");
  location = await before.registry.patch(location, bytes.slice(0, 15 * mebibyte));
  await before.registry.end();
  const now = await startTimedRegistry({ dataDirectory: data, vars: { UPLOAD_PART_SIZE: "5MiB" } });
  location = await now.registry.patch(location, bytes.slice(15 * mebibyte));
  const finished = await now.registry.must(201, "PUT", `${location}?digest=${digestOf(bytes)}`);
  const pulled = await now.registry.must(200, "GET", finished.header("Location"));
  assert.equal(digestOf(pulled.bytes), digestOf(bytes));
});

test("uploads that have begun wait for memory, and new ones are told to come again", {
  skip: isOnDisk ? "the disk takes bytes as they come" : false,
}, async () => {
  const { registry: small } = await startTimedRegistry({ vars: { UPLOAD_PART_SIZE: "32MiB" } });
  const begun = await small.patch(await small.openUpload("begun"), content(10));
  const [length, bytes] = [{ "Content-Length": "1000" }, content(100)];
  const writers = await Promise.all(
    [1, 2, 3].map(async (number) => {
      const location = await small.openUpload(`writer-${number}`);
      const writer = new OpenRequest(small.url, head("PATCH", location, length));
      await writer.write(bytes);
      return writer;
    }),
  );
  const pushNew = async () => small.send("PATCH", await small.openUpload("new"), { body: bytes });
  await until("no room", async () => (await pushNew()).status !== 202);
  const refused = await pushNew();
  expectError(refused, 503, "UNAVAILABLE");
  assert.equal(refused.header("Retry-After"), "1");
  let isAnswered = false;
  const waiting = small.patch(begun, content(90)).finally(() => {
    isAnswered = true;
  });
  expectError(await pushNew(), 503, "UNAVAILABLE");
  assert(!isAnswered);
  writers[0]?.cut();
  assert.equal(await small.uploadOffset(await waiting), 100);
  for (const writer of writers) writer.cut();
});
