/** `If-Match` and `If-None-Match` of PUT and DELETE: nobody changes what somebody else has changed meanwhile. */
import assert from "node:assert/strict";
import test from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { configType, content, describe, digestOf, imageManifest, unknownDigest } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();
const config = content();

function newManifest(): Uint8Array {
  return imageManifest(describe(config, configType), [], { annotations: { id: crypto.randomUUID() } });
}

const here = newManifest();
const ours = `"${digestOf(here)}"`;
const other = `"${unknownDigest()}"`;
let count = 0;

/** A repository whose tag `here` points at a manifest, and whose tag `none` does not exist. */
async function newRepository(): Promise<string> {
  const repository = `preconditions/${++count}`;
  await registry.pushBlob(repository, config);
  await registry.pushManifest(repository, "here", here);
  return repository;
}

async function digestOfTag(repository: string, tag: string): Promise<string | undefined> {
  const answer = await registry.send("HEAD", `/v2/${repository}/manifests/${tag}`);
  return answer.status === 200 ? answer.header("Docker-Content-Digest") : undefined;
}

function put(repository: string, reference: string, manifest: Uint8Array, headers: Record<string, string>) {
  const path = `/v2/${repository}/manifests/${reference}`;
  const type = { "Content-Type": imageManifestType };
  return registry.send("PUT", path, { headers: { ...type, ...headers }, body: manifest });
}

type Headers = Record<string, string>;

/** Headers as text, with names in the place of digests. */
function named(headers: Headers): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return lines.join(", ").replaceAll(ours, '"ours"').replaceAll(other, '"other"');
}

const puts: [tag: "here" | "none", headers: Headers, status: number][] = [
  ["here", { "If-Match": ours }, 201],
  ["here", { "If-Match": `${other}, ${ours}` }, 201],
  ["here", { "If-Match": "*" }, 201],
  ["here", { "If-Match": other }, 412],
  ["here", { "If-Match": `W/${ours}` }, 412],
  ["here", { "If-None-Match": "*" }, 412],
  ["here", { "If-None-Match": ours }, 412],
  ["here", { "If-None-Match": `W/${ours}` }, 412],
  ["here", { "If-None-Match": other }, 201],
  ["here", { "If-Match": ours, "If-None-Match": "*" }, 412],
  ["none", { "If-Match": "*" }, 412],
  ["none", { "If-Match": ours }, 412],
  ["none", { "If-None-Match": "*" }, 201],
  ["none", { "If-None-Match": ours }, 201],
];

for (const [tag, headers, status] of puts) {
  test(`a push to a tag that is ${tag === "here" ? "there" : "not there"}, with ${named(headers)}: ${status}`, async () => {
    const repository = await newRepository();
    const before = await digestOfTag(repository, tag);
    const manifest = newManifest();
    const answer = await put(repository, tag, manifest, headers);
    if (status === 412) expectError(answer, 412, "UNSUPPORTED");
    else assert.equal(answer.status, status);
    assert.equal(await digestOfTag(repository, tag), status === 412 ? before : digestOf(manifest));
    const path = `/v2/${repository}/manifests/${digestOf(manifest)}`;
    await registry.must(status === 412 ? 404 : 200, "GET", path);
  });
}

test("by digest, it is the manifest that is there or not, whatever the tags of the query point at", async () => {
  const repository = await newRepository();
  const manifest = newManifest();
  const reference = `${digestOf(manifest)}?tag=here`;
  expectError(await put(repository, reference, manifest, { "If-Match": "*" }), 412, "UNSUPPORTED");
  assert.equal((await put(repository, reference, manifest, { "If-None-Match": "*" })).status, 201);
  assert.equal(await digestOfTag(repository, "here"), digestOf(manifest));
  expectError(await put(repository, reference, manifest, { "If-None-Match": "*" }), 412, "UNSUPPORTED");
  assert.equal((await put(repository, reference, manifest, { "If-Match": "*" })).status, 201);
});

test("of those who create a tag at once, one does", async () => {
  const repository = await newRepository();
  const manifests = Array.from({ length: 8 }, newManifest);
  const answers = await Promise.all(
    manifests.map((manifest) => put(repository, "lock", manifest, { "If-None-Match": "*" })),
  );
  const winners = manifests.filter((_, index) => answers[index]?.status === 201);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array<number>(7).fill(412)]);
  assert.deepEqual(
    winners.map((manifest) => digestOf(manifest)),
    [await digestOfTag(repository, "lock")],
  );
});

const deletions: [headers: Headers, status: number][] = [
  [{ "If-Match": ours }, 202],
  [{ "If-Match": "*" }, 202],
  [{ "If-None-Match": other }, 202],
  [{ "If-Match": other }, 412],
  [{ "If-None-Match": "*" }, 412],
  [{ "If-None-Match": ours }, 412],
];

test("a tag and a manifest are deleted under the preconditions that hold for them", async () => {
  for (const reference of ["here", digestOf(here)]) {
    for (const [headers, status] of deletions) {
      const path = `/v2/${await newRepository()}/manifests/${reference}`;
      const answer = await registry.send("DELETE", path, { headers });
      assert.equal(answer.status, status, `${reference}, with ${named(headers)}`);
      await registry.must(status === 412 ? 200 : 404, "GET", path);
    }
  }
});

test("what is not there is not found, whatever the precondition is", async () => {
  const repository = await newRepository();
  const blob = `blobs/${unknownDigest()}`;
  for (const path of ["manifests/none", `manifests/${unknownDigest()}`, blob]) {
    for (const headers of [{ "If-Match": other }, { "If-Match": "*" }, { "If-None-Match": "*" }]) {
      await registry.must(404, "DELETE", `/v2/${repository}/${path}`, { headers });
    }
  }
});

test("a blob is deleted as its digest says", async () => {
  const repository = await newRepository();
  const digest = await registry.pushBlob(repository);
  const path = `/v2/${repository}/blobs/${digest}`;
  await registry.must(412, "DELETE", path, { headers: { "If-Match": other } });
  await registry.must(412, "DELETE", path, { headers: { "If-None-Match": "*" } });
  await registry.must(200, "GET", path);
  await registry.must(202, "DELETE", path, { headers: { "If-Match": `"${digest}"` } });
});

test("what would be refused anyway is refused as without a precondition", async () => {
  const repository = await newRepository();
  const headers = { "If-Match": other };
  const path = `/v2/${repository}/blobs/${digestOf(config)}`;
  expectError(await registry.send("DELETE", path, { headers }), 405, "UNSUPPORTED");
  const broken = new TextEncoder().encode("{");
  expectError(await put(repository, "here", broken, headers), 400, "MANIFEST_INVALID");
});
