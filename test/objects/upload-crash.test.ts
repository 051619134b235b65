/** What becomes of a streamed upload whose object dies while the blob is handed over, and never hears what came of it. */
import assert from "node:assert/strict";
import test from "node:test";
import { expectError } from "../support/answer.ts";
import { testOneMachine } from "../support/bucket-under-test.ts";
import { content, digestOf } from "../support/content.ts";
import { hourMs, startTimedRegistry, uploadId } from "../support/timed-registry.ts";

testOneMachine();
const { registry, advance, runAlarm, crashUpload, holdNext, collect } = await startTimedRegistry();

/** Closes an upload whose object dies at a call of its own; returns the upload's location, and the closing PUT. */
async function closeAndDie(repository: string, call: string, moment: "before" | "after") {
  const bytes = content(1000);
  const digest = digestOf(bytes);
  const location = await registry.patch(await registry.openUpload(repository), bytes);
  const target = `${location}?digest=${digest}`;
  const held = await holdNext(call, moment);
  const closing = registry.send("PUT", target);
  await held.hasCome();
  await crashUpload(uploadId(location));
  assert.equal((await closing).status, 503);
  await held.letGo();
  return { location, target, digest };
}

for (const [call, moment] of [
  ["shard.adopt", "before"],
  ["shard.adopt", "after"],
] as const) {
  test(`one that dies ${moment} its bytes are adopted, and that nobody comes back to, leaves nothing`, async () => {
    const before = registry.stored.blobKeys();
    const { location, digest } = await closeAndDie("left", call, moment);
    await advance(25 * hourMs);
    await runAlarm("UPLOADS", uploadId(location));
    for (let round = 0; round < 3; round++) {
      await advance(2 * hourMs);
      await collect(["left"], [digest]);
    }
    assert.deepEqual(registry.stored.blobKeys(), before);
    await registry.must(404, "HEAD", `/v2/left/blobs/${digest}`);
  });

  test(`one that dies ${moment} its bytes are adopted is closed by the repetition of its PUT`, async () => {
    const { target, digest } = await closeAndDie("repeated", call, moment);
    await registry.must(201, "PUT", target);
    await registry.must(200, "GET", `/v2/repeated/blobs/${digest}`);
  });
}

test("one that dies once the blob is linked has ended, and its blob stays", async () => {
  await registry.pushBlob("linked");
  const { location, target, digest } = await closeAndDie("linked", "repository.linkBlob", "after");
  for (const method of ["GET", "PATCH", "DELETE"]) {
    expectError(await registry.send(method, location), 404, "BLOB_UPLOAD_UNKNOWN");
  }
  await registry.must(201, "PUT", target);
  await registry.must(200, "GET", `/v2/linked/blobs/${digest}`);
});

test("one that dies once the blob is linked does not take it back when it expires", async () => {
  await registry.pushBlob("stays");
  const { location, digest } = await closeAndDie("stays", "repository.linkBlob", "after");
  await registry.must(202, "DELETE", `/v2/stays/blobs/${digest}`);
  const again = await closeAndDie("stays", "repository.linkBlob", "after");
  await advance(23 * hourMs);
  await registry.must(200, "HEAD", `/v2/stays/blobs/${again.digest}`);
  await advance(2 * hourMs);
  for (const each of [location, again.location]) await runAlarm("UPLOADS", uploadId(each));
  await collect(["stays"], [digest, again.digest]);
  await registry.must(200, "GET", `/v2/stays/blobs/${again.digest}`);
  await registry.must(404, "HEAD", `/v2/stays/blobs/${digest}`);
});
