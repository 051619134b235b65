/** faults.test.ts with the bucket of one machine, and what is about that one alone. */
import assert from "node:assert/strict";
import test from "node:test";
import { bucketUnderTest } from "../support/bucket-under-test.ts";
import { content, digestOf } from "../support/content.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";

bucketUnderTest.kind = "disk";
await import("./faults.test.ts");

/** Content whose digest is one of the first shard. */
function ofFirstShard(): Uint8Array {
  for (;;) {
    const bytes = content();
    if (digestOf(bytes).startsWith("sha256:00")) return bytes;
  }
}

test("one key that cannot be deleted keeps no other of its batch from it", async () => {
  const { registry, advance, collect, failNext } = await startTimedRegistry();
  const digests = [
    await registry.pushBlob("one", ofFirstShard()),
    await registry.pushBlob("other", ofFirstShard()),
  ];
  await advance(25 * hourMs);
  await collect(["one", "other"], digests);
  await failNext("delete", "before");
  await advance(2 * hourMs);
  await collect([], digests);
  assert.equal(registry.stored.blobKeys().length, 1);
  await advance(hourMs);
  await collect([], digests);
  assert.deepEqual(registry.stored.blobKeys(), []);
});
