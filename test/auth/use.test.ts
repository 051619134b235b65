/** What counts as a pull and as a use, and what does not. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { call } from "../cli/command-line.ts";
import type { Credential, PushedImage } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import {
  configType,
  content,
  describe,
  encode,
  imageIndex,
  imageManifest,
  layerType,
} from "../support/content.ts";
import { after } from "../support/ends-of-files.ts";
import { until } from "../support/registry.ts";

const registry = await startClosedRegistry();
const pusher = await registry.account("pusher", [
  { repository: "team/**", verbs: ["pull", "push", "delete"] },
]);
const puller = await registry.account("puller", [{ repository: "team/**", verbs: ["pull"] }]);
const environment = {
  STOWAGE_URL: registry.url,
  STOWAGE_USER: admin.name,
  STOWAGE_PASSWORD: admin.password,
};

type Described = { digest: string; lastUsed?: string; tags: string[] };
type DescribedTag = Omit<Described, "tags"> & { tag: string };

const today = () => new Date().toISOString().slice(0, 10);
const firstDay = today();

/** A use of this run: midnight may pass between it and its being looked at. */
const isOfThisRun = (day: string) => firstDay <= day && day <= today();

async function pullsOf(repository: string): Promise<number> {
  await registry.must(200, "GET", "/metrics", { as: admin });
  const path = `/api/v1/repositories/${repository}`;
  return (await registry.must(200, "GET", path, { as: admin })).json<{ pulls: number }>().pulls;
}

async function usedTags(repository: string): Promise<string[]> {
  const path = `/api/v1/repositories/${repository}/tags`;
  const { tags } = (await registry.must(200, "GET", path, { as: admin })).json<{ tags: DescribedTag[] }>();
  for (const { lastUsed } of tags) assert(lastUsed === undefined || isOfThisRun(lastUsed), lastUsed);
  return tags.filter(({ lastUsed }) => lastUsed !== undefined).map(({ tag }) => tag);
}

let made = 0;

/** A repository of its own with an image under two tags, which nobody has used. */
async function newImage(): Promise<{ repository: string; image: PushedImage }> {
  const repository = `team/image-${made++}`;
  const client = registry.as(pusher);
  const image = await client.pushImage(repository, "v1");
  await client.pushManifest(repository, "latest", image.manifest);
  return { repository, image };
}

type Use = {
  does: string;
  as: Credential;
  method?: string;
  by: "tag" | "digest";
  isConditional?: true;
  pulls: number;
  uses: boolean;
};

const uses: Use[] = [
  { does: "a GET by tag", as: puller, by: "tag", pulls: 1, uses: true },
  { does: "a GET by digest", as: puller, by: "digest", pulls: 1, uses: true },
  { does: "a GET by somebody who may push", as: pusher, by: "tag", pulls: 1, uses: true },
  { does: "a HEAD by tag, as of containerd", as: puller, method: "HEAD", by: "tag", pulls: 0, uses: true },
  { does: "a HEAD by digest", as: puller, method: "HEAD", by: "digest", pulls: 0, uses: true },
  {
    does: "a HEAD by tag by somebody who may push",
    as: pusher,
    method: "HEAD",
    by: "tag",
    pulls: 0,
    uses: false,
  },
  {
    does: "a HEAD by digest by somebody who may push",
    as: pusher,
    method: "HEAD",
    by: "digest",
    pulls: 0,
    uses: false,
  },
  { does: "a 304 by tag", as: puller, by: "tag", isConditional: true, pulls: 0, uses: true },
  { does: "a 304 by digest", as: puller, by: "digest", isConditional: true, pulls: 0, uses: true },
];

for (const { does, as, method = "GET", by, isConditional, pulls, uses: isUse } of uses) {
  test(`${does} is ${pulls === 0 ? "no" : "a"} pull and ${isUse ? "a" : "no"} use`, async () => {
    const { repository, image } = await newImage();
    const status = isConditional ? 304 : 200;
    const headers: Record<string, string> = isConditional ? { "If-None-Match": `"${image.digest}"` } : {};
    const reference = by === "tag" ? "v1" : image.digest;
    await registry.must(status, method, `/v2/${repository}/manifests/${reference}`, { as, headers });
    if (isUse) await until("the use is told", async () => (await usedTags(repository)).length === 2);
    assert.deepEqual(await usedTags(repository), isUse ? ["latest", "v1"] : []);
    assert.equal(await pullsOf(repository), pulls);
  });
}

test("a token for pulling alone uses, whoever it is of", async () => {
  const { repository } = await newImage();
  const as = await registry.as(pusher).bearer(`repository:${repository}:pull`);
  await registry.must(200, "HEAD", `/v2/${repository}/manifests/v1`, { as });
  await until("the use is told", async () => (await usedTags(repository)).length === 2);
});

test("a pull of an image by its digest is a use of the index that lists it", async () => {
  const { repository, image } = await newImage();
  const index = imageIndex([describe(image.manifest, imageManifestType)]);
  await registry.as(pusher).pushManifest(repository, "multi", index, imageIndexType);
  await registry.must(200, "GET", `/v2/${repository}/manifests/${image.digest}`, { as: puller });
  await until("the use is told", async () => (await usedTags(repository)).length === 3);
});

test("an index says what it lists, with the platform of each image", async () => {
  const { repository, image } = await newImage();
  const index = imageIndex([describe(image.manifest, imageManifestType)]);
  const digest = await registry.as(pusher).pushManifest(repository, "multi", index, imageIndexType);
  const path = `/api/v1/repositories/${repository}/manifests/${digest}`;
  type Shown = { digest: string; kind: string; imageSize: number; platforms: string[] };
  const { manifests, tags } = (await registry.must(200, "GET", path, { as: puller })).json<{
    manifests: Shown[];
    tags: string[];
  }>();
  const shown = manifests.map((each) => [each.digest, each.kind, each.imageSize, each.platforms]);
  // Its config says nothing.
  assert.deepEqual([tags, shown], [["multi"], [[image.digest, "image", 200, []]]]);
});

test("a repository says when anything of it was used last", async () => {
  const { repository } = await newImage();
  const lastUsed = async () => {
    const answer = await registry.must(200, "GET", `/api/v1/repositories/${repository}`, { as: admin });
    return answer.json<{ lastUsed?: string }>().lastUsed;
  };
  assert.equal(await lastUsed(), undefined);
  await registry.must(200, "GET", `/v2/${repository}/manifests/v1`, { as: puller });
  await until("the catalog knows", async () => isOfThisRun((await lastUsed()) ?? ""));
});

test("a use whose report was lost is told by the next one", async () => {
  const { repository } = await newImage();
  await registry.loseNext("LEDGERS.recordUses");
  await registry.loseNext("LEDGERS.recordUses");
  const path = `/v2/${repository}/manifests/v1`;
  await registry.must(200, "GET", path, { as: puller });
  await until("the use is told", async () => {
    await registry.must(200, "GET", path, { as: puller });
    return (await usedTags(repository)).length === 2;
  });
});

test("what the management API reads is no pull and no use, and is what was pushed", async () => {
  const { repository, image } = await newImage();
  const path = `/api/v1/repositories/${repository}`;
  const read = await registry.must(200, "GET", `${path}/manifests/${image.digest}/content`, { as: puller });
  assert.deepEqual(read.bytes, image.manifest);
  assert.equal(read.header("Content-Type"), imageManifestType);
  assert.equal(read.header("Docker-Content-Digest"), image.digest);
  const [layer = ""] = image.layers;
  const whole = await registry.must(200, "GET", `${path}/blobs/${layer}/content`, { as: puller });
  const headers = { Range: "bytes=2-5" };
  const part = await registry.must(206, "GET", `${path}/blobs/${layer}/content`, { as: puller, headers });
  assert.deepEqual(part.bytes, whole.bytes.subarray(2, 6));
  const same = { "If-None-Match": `"${layer}"` };
  await registry.must(304, "GET", `${path}/blobs/${layer}/content`, { as: puller, headers: same });
  await registry.must(416, "GET", `${path}/blobs/${layer}/content`, {
    as: puller,
    headers: { Range: "bytes=900-" },
  });
  for (const each of ["manifests", `manifests/${image.digest}`, "tags", "tags/v1", "tags/v1/history"]) {
    await registry.must(200, "GET", `${path}/${each}`, { as: puller });
  }
  assert.deepEqual(await usedTags(repository), []);
  assert.equal(await pullsOf(repository), 0);
});

test("who may not pull a repository reads nothing of it by the management API", async () => {
  const { repository, image } = await newImage();
  const stranger = await registry.account("stranger", [{ repository: "other/**", verbs: ["pull"] }]);
  const [layer = ""] = image.layers;
  const paths = [
    "tags",
    "tags/v1",
    `manifests/${image.digest}`,
    `manifests/${image.digest}/content`,
    `blobs/${layer}/content`,
  ];
  for (const path of paths) {
    await registry.must(403, "GET", `/api/v1/repositories/${repository}/${path}`, { as: stranger });
    await registry.must(401, "GET", `/api/v1/repositories/${repository}/${path}`);
    await registry.must(403, "GET", `/api/v1/repositories/team/none/${path}`, { as: stranger });
  }
});

test("an export and every command that reads are no pulls and no uses", async () => {
  const { repository, image } = await newImage();
  const directory = mkdtempSync(join(tmpdir(), "stowage-use-"));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const commands = [
    ["export", directory, "--repository", repository],
    ["import", directory, "--repository", repository],
    ["repo", "list"],
    ["repo", "show", repository],
    ["tag", "list", repository],
    ["manifest", "list", repository],
    ["history", repository, "v1"],
    ["usage"],
    ["scrub"],
    ["tag", "delete", repository, "latest", "--yes"],
    ["restore", repository, "latest"],
    ["manifest", "delete", repository, image.digest, "--yes"],
    ["restore", repository, image.digest],
  ];
  for (const command of commands) {
    const { code, stderr } = await call(command, environment);
    assert.equal(code, 0, `${command.join(" ")}: ${stderr}`);
  }
  assert.deepEqual(await usedTags(repository), []);
  assert.equal(await pullsOf(repository), 0);
});

test("lists say the platform and the time of an image by its config, which is read once", async () => {
  const repository = "team/configured";
  const client = registry.as(pusher);
  const created = "2026-11-01T10:00:00Z";
  const config = encode({
    os: "linux",
    architecture: "arm64",
    created,
    config: { Labels: { a: "b" } },
    history: [],
  });
  const layer = content(1000);
  await Promise.all([config, layer].map((bytes) => client.pushBlob(repository, bytes)));
  const manifest = imageManifest(describe(config, configType), [describe(layer, layerType)]);
  const digest = await client.pushManifest(repository, "v1", manifest);
  const path = `/api/v1/repositories/${repository}`;
  const list = async () => {
    const { tags } = (await registry.must(200, "GET", `${path}/tags`, { as: puller })).json<{
      tags: object[];
    }>();
    return tags;
  };
  const [entry] = await list();
  const { pushedAt, updatedAt, ...rest } = entry as { pushedAt: string; updatedAt: string };
  for (const time of [pushedAt, updatedAt]) assert.match(time, /^\d{4}-/);
  assert.deepEqual(rest, {
    tag: "v1",
    digest,
    mediaType: imageManifestType,
    size: manifest.byteLength,
    artifactType: configType,
    kind: "image",
    imageSize: config.byteLength + layer.byteLength,
    platforms: ["linux/arm64"],
    createdAt: new Date(created).toISOString(),
    pushedBy: "pusher",
    updatedBy: "pusher",
  });
  await until("the ledger knows", async () => {
    await registry.takeCalls();
    assert.deepEqual(await list(), [entry]);
    const calls = await registry.takeCalls();
    return calls["LEDGERS.describeTags"] === 1 && calls["LEDGERS.addConfigFacts"] === undefined;
  });
  const details = await registry.must(200, "GET", `${path}/manifests/${digest}`, { as: puller });
  const {
    config: shown,
    indexes,
    tags,
  } = details.json<{ config: { labels: object }; indexes: []; tags: string[] }>();
  assert.deepEqual([shown.labels, indexes, tags], [{ a: "b" }, [], ["v1"]]);
});
