/** A blob of several segments, on the disk of one machine: pushed in chunks or fetched, scrubbed, and damaged. */
import assert from "node:assert/strict";
import { closeSync, globSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import type { Machine } from "../../src/machine.ts";
import { segmentBytes } from "../../src/objects/running-hash.ts";
import { indexName, parseFiles } from "../../src/storage/disk-files.ts";
import { content, digestOf } from "../support/content.ts";
import { startRegistry, until } from "../support/registry.ts";
import { rowsIn } from "../support/sqlite.ts";
import { temporaryData } from "../support/temporary.ts";
import { scrub } from "../support/upkeep.ts";
import { ScriptedUpstream } from "../support/upstream.ts";

const machine: Machine = { blobShards: 1, uploadPools: 4, nameIndexes: 1 };
const dataDirectory = temporaryData();
const upstream = await ScriptedUpstream.start();
const vars = { UPSTREAMS: upstream.settings() };
const registry = await startRegistry({ dataDirectory, bucket: "disk", machine, vars });

/** How many rows the shard has of hashes of segments, and of how many bytes each. */
function segmentRows(): number[] {
  const files = globSync(join(dataDirectory, "do/stowage-Blobs/*.sqlite"));
  const rows = files.flatMap((file) => rowsIn(file, "segments")) as { hashes: Uint8Array }[];
  return rows.map(({ hashes }) => hashes.byteLength);
}

test("a push hashes the segments of a large blob, and a scrub says which is damaged", async () => {
  const bytes = new Uint8Array(segmentBytes + 1_000_000);
  bytes.set(content(1000));
  await registry.pushImage("team/small", "v1");
  const digest = await registry.streamBlob("team/large", bytes);
  assert.deepEqual(segmentRows(), [64]);
  const { checked, problems } = await scrub(registry);
  assert.deepEqual(problems, []);
  assert(checked.bytes >= bytes.byteLength);
  const [index = ""] = globSync(join(dataDirectory, "files/blobs/**", indexName));
  const last = parseFiles(readFileSync(index, "utf8"))?.at(-1);
  assert(last !== undefined);
  const file = openSync(join(dirname(index), last.name), "r+");
  writeSync(file, "damaged", last.sizeBytes - 10);
  closeSync(file);
  const found = (await scrub(registry)).problems.filter(({ what }) => what === "blob bytes");
  assert.deepEqual(
    found.map((problem) => [problem.digest, problem.detail]),
    [[digest, `of its bytes, those from ${segmentBytes} to ${bytes.byteLength - 1} are others`]],
  );
});

test("a fetch hashes them as well", async () => {
  const before = segmentRows().length;
  const { layers } = upstream.addImage("large", [segmentBytes + 1], "v1");
  const [bytes = new Uint8Array()] = layers;
  const pulled = await registry.must(200, "GET", `/v2/up/large/blobs/${digestOf(bytes)}`);
  assert.equal(digestOf(pulled.bytes), digestOf(bytes));
  await until("the hashes of its segments", () => segmentRows().length === before + 1);
});
