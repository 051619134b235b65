/** What one machine does without: KV, most shards, and an object for each upload session. */
import assert from "node:assert/strict";
import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Machine } from "../../src/machine.ts";
import { content } from "../support/content.ts";
import { rowsIn } from "../support/sqlite.ts";
import { temporaryData } from "../support/temporary.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";

const machine: Machine = { blobShards: 1, uploadPools: 4, nameIndexes: 1 };

/** The rows that a query finds in all objects of a class. */
function rowsOf(dataDirectory: string, className: string, table: string): unknown[] {
  return globSync(join(dataDirectory, `do/stowage-${className}/*.sqlite`)).flatMap((file) =>
    rowsIn(file, table),
  );
}

test("a push leaves nothing in KV, and nothing that is to be written there", async () => {
  const dataDirectory = temporaryData();
  const { registry } = await startTimedRegistry({ dataDirectory, bucket: "disk", machine });
  await registry.pushImage("plain", "v1");
  await registry.end();
  assert(!existsSync(join(dataDirectory, "kv")));
  assert.deepEqual(rowsOf(dataDirectory, "Repository", "outbox"), []);
  assert.equal(rowsOf(dataDirectory, "Blobs", "blobs").length > 1, true);
  const shards = globSync(join(dataDirectory, "do/stowage-Blobs/*.sqlite")).filter(
    (file) => !file.endsWith("metadata.sqlite"),
  );
  assert.equal(shards.length, 1);
});

test("what an earlier release still had to write to KV keeps no name taken", async () => {
  const dataDirectory = temporaryData();
  const before = await startTimedRegistry({ dataDirectory, bucket: "disk" });
  await before.registry.pushBlob("taken", content());
  await before.registry.pushImage("taken", "v1");
  for (let row = 0; row < 50; row++) await before.failNext("replica.put", "before");
  await before.registry.must(202, "DELETE", "/api/v1/repositories/taken");
  await before.registry.end();
  const now = await startTimedRegistry({
    dataDirectory,
    bucket: "disk",
    machine: { ...machine, blobShards: 256 },
  });
  await now.advance(hourMs);
  await now.runAlarm("LEDGERS", "taken");
  await now.registry.pushImage("taken", "v1");
  await now.registry.end();
  assert.deepEqual(rowsOf(dataDirectory, "Repository", "outbox"), []);
});
