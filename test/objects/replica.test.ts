import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import type { BlobLocation } from "../../src/storage/replica.ts";
import { expectError } from "../support/answer.ts";
import {
  configType,
  content,
  describe,
  encode,
  imageIndex,
  imageManifest,
  layerType,
  rangeParts,
} from "../support/content.ts";
import { until } from "../support/registry.ts";
import { textReplica } from "../support/text-replica.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";

const { registry, advance, runAlarm } = await startTimedRegistry();
const kv = await registry.kv();
const replica = textReplica(kv as unknown as KVNamespace);

/** Longer than an isolate remembers anything of the replica. */
const forgetMs = 200_000;

const rowsOf = async (repository: string) =>
  (await registry.replicaKeys()).filter(
    (key) => key.includes(`/${repository}@`) || key.includes(`/${repository}:`),
  );

async function planOf(repository: string, digest: string): Promise<string[] | undefined> {
  const row = await replica.manifest(repository, digest);
  return row?.plan.map((location) => location.digest).sort();
}

async function hasPlan(repository: string, digest: string, blobs: string[]): Promise<void> {
  const expected = JSON.stringify([...blobs].sort());
  await until("the pull plan", async () => JSON.stringify(await planOf(repository, digest)) === expected);
}

test("a pushed image gets to the replica: its manifest, where its blobs are, its tag", async () => {
  const image = await registry.pushImage("pushed", "latest", [content(), content()]);
  const blobs = [image.config, ...image.layers];
  await until("its rows", async () => (await rowsOf("pushed")).length === 5);
  const row = await replica.manifest("pushed", image.digest);
  assert.deepEqual(row?.bytes, image.manifest);
  assert.equal(row?.mediaType, imageManifestType);
  assert.deepEqual(await planOf("pushed", image.digest), blobs.sort());
  assert.equal((await replica.tag("pushed", "latest"))?.digest, image.digest);
  const keys = registry.stored.blobKeys();
  for (const location of row?.plan ?? []) {
    assert(keys.includes(location.key));
    assert.deepEqual(await replica.blob("pushed", location.digest), location);
  }
});

test("a blob that no manifest references yet is not in the replica, and pulls", async () => {
  const digest = await registry.pushBlob("unreferenced", content());
  await registry.must(200, "GET", `/v2/unreferenced/blobs/${digest}`);
  assert.deepEqual(await rowsOf("unreferenced"), []);
});

test("a pull plan lists only what the repository has, and learns of what comes later", async () => {
  const [config, absent] = [content(), content()];
  const layer = { ...describe(absent, layerType), urls: ["https://elsewhere.example/"] };
  await registry.pushBlob("plans", config);
  await registry.pushBlob("plans/other", absent);
  const manifest = imageManifest(describe(config, configType), [layer]);
  const digest = await registry.pushManifest("plans", "latest", manifest);
  const [known] = [describe(config, configType).digest];
  await hasPlan("plans", digest, [known]);
  await registry.must(200, "GET", `/v2/plans/manifests/${digest}`);
  expectError(await registry.get(`/v2/plans/blobs/${layer.digest}`), 404, "BLOB_UNKNOWN");
  await registry.pushBlob("plans", absent);
  await hasPlan("plans", digest, [known, layer.digest]);
  await registry.must(200, "GET", `/v2/plans/blobs/${layer.digest}`);
});

test("naming another repository's content in a manifest opens none of it", async () => {
  const victim = await registry.pushImage("victim", "latest");
  const named = [victim.config, ...victim.layers, victim.digest].map((digest) => ({
    digest,
    size: 1,
    mediaType: "a/b",
  }));
  const foreign = named.map((entry) => ({ ...entry, urls: ["https://elsewhere.example/"] }));
  const [config] = [content()];
  await registry.pushBlob("thief", config);
  const digests = [
    await registry.pushManifest("thief", "other", encode({ blobs: named }), "application/vnd.example+json"),
    await registry.pushManifest("thief", "image", imageManifest(describe(config, configType), foreign)),
    await registry.pushManifest("thief", "index", imageIndex(foreign), imageIndexType),
  ];
  for (const digest of digests) {
    await until("its row", async () => (await planOf("thief", digest)) !== undefined);
    await registry.must(200, "GET", `/v2/thief/manifests/${digest}`);
    for (const entry of named) {
      expectError(await registry.get(`/v2/thief/blobs/${entry.digest}`), 404, "BLOB_UNKNOWN");
      expectError(await registry.get(`/v2/thief/manifests/${entry.digest}`), 404, "MANIFEST_UNKNOWN");
    }
  }
});

test("without any row in the replica, everything pulls", async () => {
  const image = await registry.pushImage("kv-lost", "latest", [content(), content(100_000)]);
  await until("its rows", async () => (await rowsOf("kv-lost")).length === 5);
  for (const key of await registry.replicaKeys()) await kv.delete(key);
  await advance(forgetMs);
  await registry.pullImage("kv-lost", "latest", image);
  await registry.must(200, "HEAD", `/v2/kv-lost/manifests/${image.digest}`);
});

test("a tag is what the ledger says, however old or wrong the replica's row", async () => {
  const old = await registry.pushImage("old-row", "latest");
  await until("its row", async () => (await replica.tag("old-row", "latest")) !== undefined);
  const row = await replica.tag("old-row", "latest");
  const current = await registry.pushImage("old-row", "latest");
  await until("the move", async () => (await replica.tag("old-row", "latest"))?.digest === current.digest);
  await kv.put("tag/old-row:latest", JSON.stringify(row));
  await kv.put("tag/old-row:deleted", JSON.stringify(row));
  await advance(forgetMs);
  await registry.pullImage("old-row", "latest", current);
  expectError(await registry.get("/v2/old-row/manifests/deleted"), 404, "MANIFEST_UNKNOWN");
  await registry.must(200, "GET", `/v2/old-row/manifests/${old.digest}`);
});

test("a row that says a wrong key still serves the right bytes, and is put right", async () => {
  const layer = content(100_000);
  const image = await registry.pushImage("wrong-key", "latest", [layer]);
  await until("its rows", async () => (await rowsOf("wrong-key")).length === 4);
  const [digest = ""] = image.layers;
  const right = await replica.blob("wrong-key", digest);
  assert(right !== undefined);
  const wrong: BlobLocation = { ...right, key: "blobs/never-written" };
  await kv.put(`blob/wrong-key@${digest}`, JSON.stringify(wrong));
  await advance(forgetMs);
  assert.deepEqual((await registry.must(200, "GET", `/v2/wrong-key/blobs/${digest}`)).bytes, layer);
  await until("the row", async () => (await replica.blob("wrong-key", digest))?.key === right.key);
});

test("when a digest has moved to another key, readers find it, and the replica's rows are put right", async () => {
  const layer = content(100_000);
  const image = await registry.pushImage("moved", "latest", [layer]);
  await until("its rows", async () => (await rowsOf("moved")).length === 4);
  const [digest = ""] = image.layers;
  const before = await replica.blob("moved", digest);
  assert(before !== undefined);
  await (await registry.bucket()).delete(before.key);
  await registry.pushBlob("moved/healer", layer);
  await advance(forgetMs);
  assert.deepEqual((await registry.must(200, "GET", `/v2/moved/blobs/${digest}`)).bytes, layer);
  const range = await registry.must(206, "GET", `/v2/moved/blobs/${digest}`, {
    headers: { Range: "bytes=10-19" },
  });
  assert.deepEqual(range.bytes, layer.slice(10, 20));
  const ranges = await registry.must(206, "GET", `/v2/moved/blobs/${digest}`, {
    headers: { Range: "bytes=10-19,90000-90009" },
  });
  assert.deepEqual(
    rangeParts(ranges.headers, ranges.bytes).map((part) => part.bytes),
    [layer.slice(10, 20), layer.slice(90_000, 90_010)],
  );
  await until("the row", async () => (await replica.blob("moved", digest))?.key !== before.key);
  await until("the plan", async () => {
    const row = await replica.manifest("moved", image.digest);
    return row?.plan.every((location) => location.key !== before.key) === true;
  });
});

test("what is deleted goes from the replica, and a late write does not bring it back for good", async () => {
  const image = await registry.pushImage("deleted", "latest");
  await until("its rows", async () => (await rowsOf("deleted")).length === 4);
  const rows = new Map<string, ArrayBuffer>();
  for (const key of await rowsOf("deleted"))
    rows.set(key, (await kv.get(key, "arrayBuffer")) ?? new ArrayBuffer());
  await registry.must(202, "DELETE", `/v2/deleted/manifests/${image.digest}`);
  for (const digest of [image.config, ...image.layers])
    await registry.must(202, "DELETE", `/v2/deleted/blobs/${digest}`);
  await until("the rows' end", async () => (await rowsOf("deleted")).length === 0);
  for (const [key, value] of rows) await kv.put(key, value);
  for (const reference of ["latest", image.digest]) {
    expectError(await registry.get(`/v2/deleted/manifests/${reference}`), 404, "MANIFEST_UNKNOWN");
  }
  await advance(150_000);
  await runAlarm("LEDGERS", "deleted");
  assert.deepEqual(await rowsOf("deleted"), []);
});

test("tags may be read from the replica first, where that is set", async () => {
  const edge = await startTimedRegistry({ vars: { TAG_READS: "edge" } });
  const image = await edge.registry.pushImage("edge", "latest");
  await edge.registry.pullImage("edge", "latest", image);
  const moved = await edge.registry.pushImage("edge", "latest");
  const rows = textReplica((await edge.registry.kv()) as unknown as KVNamespace);
  await until("the move", async () => (await rows.tag("edge", "latest"))?.digest === moved.digest);
  await edge.registry.pullImage("edge", "latest", moved);
  const path = "/v2/edge/manifests/latest";
  await edge.registry.must(304, "GET", path, { headers: { "If-None-Match": `"${moved.digest}"` } });
  const head = await edge.registry.must(200, "HEAD", path);
  assert.equal(head.header("Content-Type"), imageManifestType);
  expectError(await edge.registry.get("/v2/edge/manifests/never"), 404, "MANIFEST_UNKNOWN");
});
