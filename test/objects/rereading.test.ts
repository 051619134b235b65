/** Manifests that an earlier release took: they are kept whole, as any client reads them, and are not taken again. */
import assert from "node:assert/strict";
import test from "node:test";
import { expectError } from "../support/answer.ts";
import { fetchOnce } from "../support/client.ts";
import { content, digestOf, encode } from "../support/content.ts";
import { earlierData } from "../support/earlier-data.ts";
import { until } from "../support/registry.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import { scrub } from "../support/upkeep.ts";

const { registry, advance, collect, rereadIn } = await startTimedRegistry({
  dataDirectory: earlierData("before-rereading.tar.gz"),
  bucket: "disk",
  vars: { GC_GRACE: "1h", UNTAGGED_TTL: "1h", DELETE_DELAY: "0s" },
});

const repository = "team/earlier";
const earlier = (name: string) => digestOf(encode(`earlier: ${name}`));

type Stored = { tag: string; names: string[]; refused?: RegExp };

/** What the archive has, and why it is not taken any more. */
const stored: Stored[] = [
  { tag: "schema1", names: ["schema 1"], refused: /schema 1/ },
  { tag: "schema1-untyped", names: ["schema 1 of no type"], refused: /schema 1/ },
  { tag: "folded", names: ["config", "folded"], refused: /"Layers", which may be read as layers/ },
  { tag: "repeated", names: ["config", "repeated"], refused: /"la\\u0079ers", which may be read as layers/ },
  { tag: "long-s", names: ["config", "long s"], refused: /"layerſ", which may be read as layers/ },
  { tag: "nested", names: ["nested", "nested, folded", "nested, escaped"] },
  { tag: "fraction", names: ["config", "fraction"], refused: /^layers\[0\] has no valid size/ },
  { tag: "elsewhere", names: ["needed"], refused: /^it requires sha256:/ },
];

const minuteMs = 60_000;
const repositories = [repository, "team/earlier-index"];
const digests = [...new Set(stored.flatMap(({ names }) => names))].map(earlier);

/** Lets all go that may go. */
async function collectAll(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await advance(2 * hourMs);
    await collect(repositories, digests);
  }
}

async function areServed(): Promise<void> {
  for (const { tag, names } of stored) {
    await registry.must(200, "GET", `/v2/${repository}/manifests/${tag}`);
    for (const name of names) {
      const { bytes } = await registry.must(200, "GET", `/v2/${repository}/blobs/${earlier(name)}`);
      assert.equal(digestOf(bytes), earlier(name), tag);
    }
  }
}

async function digestOfTag(tag: string): Promise<string> {
  const answer = await registry.must(200, "HEAD", `/v2/${repository}/manifests/${tag}`);
  return answer.header("Docker-Content-Digest");
}

test("what a client could read in manifests of an earlier release outlives collection", async () => {
  const nobodys = await registry.pushBlob(repository, content());
  await collectAll();
  await areServed();
  assert.equal((await registry.get(`/v2/${repository}/blobs/${nobodys}`)).status, 404, "the rest goes");
});

test("the replica learns of the blobs that manifests are found to name", async () => {
  for (const digest of digests) {
    await until("its row", async () =>
      (await registry.replicaKeys()).includes(`blob/${repository}@${digest}`),
    );
  }
});

test("a manifest that an earlier index names in a second list is not taken for an untagged one", async () => {
  await collectAll();
  const index = (await registry.must(200, "GET", "/v2/team/earlier-index/manifests/v1")).json<{
    Manifests: { digest: string }[];
  }>();
  for (const { digest } of index.Manifests) {
    await registry.must(200, "GET", `/v2/team/earlier-index/manifests/${digest}`);
  }
});

test("manifests of an earlier release get their facts, and count as used on that day", async () => {
  type Listed = { tag: string; kind?: string; imageSize?: number; lastUsed?: string; pushedBy?: string };
  const path = `/api/v1/repositories/${repository}/tags`;
  const { tags } = (await registry.must(200, "GET", path)).json<{ tags: Listed[] }>();
  assert.deepEqual(new Set(tags.map(({ tag }) => tag)), new Set(stored.map(({ tag }) => tag)));
  for (const { tag, kind, imageSize, lastUsed, pushedBy } of tags) {
    assert(kind !== undefined && imageSize !== undefined && lastUsed !== undefined, tag);
    assert.equal(pushedBy, undefined, "who pushed was not recorded then");
  }
});

test("a scrub lists what would be refused today, and takes it for no damage", async () => {
  const { refused, problems, repaired } = await scrub(registry);
  assert.deepEqual(problems, []);
  // What was found to be named is in the replica's rows since.
  assert.deepEqual(
    repaired.filter(({ what }) => what?.startsWith("replica")),
    [],
  );
  const expected = stored.filter((each) => each.refused !== undefined);
  const found = refused.filter((finding) => finding.repository === repository);
  assert.equal(found.length, expected.length);
  for (const { tag, refused: reason = /^$/ } of expected) {
    const digest = await digestOfTag(tag);
    const [finding] = found.filter((each) => each.digest === digest);
    assert.equal(finding?.what, "manifest");
    assert.match(finding?.detail ?? "", reason, tag);
  }
});

for (const { tag, refused } of stored) {
  test(`${tag} of an earlier release is ${refused === undefined ? "" : "not "}taken when it is pushed again`, async () => {
    const pulled = await registry.must(200, "GET", `/v2/${repository}/manifests/${tag}`);
    const type = pulled.header("Content-Type");
    const answer = await registry.putManifest(repository, "again", pulled.bytes, type);
    if (refused === undefined) assert.equal(answer.status, 201);
    else if (tag === "elsewhere") expectError(answer, 404, "MANIFEST_BLOB_UNKNOWN");
    else expectError(answer, 400, "MANIFEST_INVALID");
    await registry.must(200, "GET", `/v2/${repository}/manifests/${tag}`);
  });
}

test("manifests of an earlier release that were deleted come back, and keep what they name", async () => {
  for (const { tag } of stored) {
    const digest = await digestOfTag(tag);
    await registry.must(202, "DELETE", `/v2/${repository}/manifests/${digest}`);
    const path = `${registry.url}/api/v1/repositories/${repository}/manifests/${digest}/restore`;
    const restored = await fetchOnce(path, { method: "POST" });
    assert.equal(restored.status, 200, `${tag}: ${await restored.text()}`);
  }
  await collectAll();
  await areServed();
});

test("until all manifests of a ledger are read again, it gives nothing up", async () => {
  const name = "unread";
  const nobodys = await registry.pushBlob(name, content());
  const image = await registry.pushImage(name, "v1");
  const untagged = await registry.pushImage(name, "v2");
  await registry.must(202, "DELETE", `/v2/${name}/manifests/v2`);
  await rereadIn(name, 5 * hourMs);
  const collectHere = () => collect([name], [nobodys]);

  await advance(4 * hourMs);
  await collectHere();
  await registry.must(200, "GET", `/v2/${name}/blobs/${nobodys}`);
  await registry.must(200, "GET", `/v2/${name}/manifests/${untagged.digest}`);
  const refused = await registry.send("DELETE", `/v2/${name}/blobs/${nobodys}`);
  expectError(refused, 503, "UNAVAILABLE");
  assert.notEqual(refused.header("Retry-After"), "");

  await advance(2 * hourMs);
  await collectHere();
  await advance(minuteMs);
  await collectHere();
  assert.equal((await registry.get(`/v2/${name}/blobs/${nobodys}`)).status, 404);
  assert.equal((await registry.get(`/v2/${name}/manifests/${untagged.digest}`)).status, 404);
  await registry.pullImage(name, "v1", image);
  const other = await registry.pushBlob(name, content());
  await registry.must(202, "DELETE", `/v2/${name}/blobs/${other}`);
});
