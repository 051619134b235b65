import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { open } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { makeFolder } from "../../src/cli/backup/files.ts";
import { Layout } from "../../src/cli/backup/layout.ts";
import { imageManifestType } from "../../src/oci/media-type.ts";
import type { Digest } from "../../src/oci/reference.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  encode,
  imageManifest,
  layerType,
} from "../support/content.ts";
import { afterTest } from "../support/ends.ts";
import { answer, type FakeRegistry, fakeRegistry } from "../unit/client/fake-registry.ts";
import { call } from "./command-line.ts";

/** A user without rights of its own. */
const nobody = 65534;

const problem = { "Content-Type": "application/problem+json" };
const gone = (response: ServerResponse, code: string) =>
  answer(response, 404, problem, { title: "there is no such thing", code });

/** A registry with one image in each of its repositories. `refuse` answers some requests in its own way. */
async function registryOf(
  images: Record<string, Uint8Array[]>,
  refuse: (path: string, response: ServerResponse) => boolean = () => false,
): Promise<FakeRegistry> {
  const bytes = new Map<string, Uint8Array>();
  const manifests = new Map<string, object>();
  for (const [name, layers] of Object.entries(images)) {
    const config = content(20);
    const manifest = imageManifest(
      describe(config, configType),
      layers.map((layer) => describe(layer, layerType)),
    );
    for (const each of [config, manifest, ...layers]) bytes.set(digestOf(each), each);
    const { digest, size } = describe(manifest, imageManifestType);
    manifests.set(name, { digest, size, mediaType: imageManifestType, tags: ["v1"] });
  }
  return await fakeRegistry(({ path }, response) => {
    const pathname = decodeURIComponent(new URL(path, "http://localhost").pathname);
    if (refuse(pathname, response)) return;
    const [, name = "", rest = ""] = /^\/api\/v1\/repositories\/([^/]+)(.*)$/.exec(pathname) ?? [];
    const [, digest = ""] = /\/(sha256:\w+)\/content$/.exec(rest) ?? [];
    const repository = (each: string) => ({ name: each, visibility: "private", description: "", readme: "" });
    if (name === "")
      return answer(response, 200, {}, { repositories: [...manifests.keys()].map(repository) });
    if (rest === "/manifests") return answer(response, 200, {}, { manifests: [manifests.get(name)] });
    if (rest === "") return answer(response, 200, {}, repository(name));
    const found = bytes.get(digest);
    if (found === undefined) return gone(response, "BLOB_UNKNOWN");
    response.end(found);
  });
}

function temporary(t: test.TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "stowage-export-"));
  afterTest(t, () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const fileOf = (directory: string, name: string, bytes: Uint8Array) =>
  join(directory, name, "blobs", digestOf(bytes).replace(":", "/"));

test("a blob that cannot be read is named, and all else is exported", async (t) => {
  const [lost, kept, other] = [content(), content(), content()];
  const registry = await registryOf({ one: [lost, kept], two: [other] }, (path, response) => {
    if (!path.includes(digestOf(lost))) return false;
    answer(response, 507, problem, { title: "the object is lost", requestId: "r1" });
    return true;
  });
  const directory = temporary(t);
  const { code, stdout, stderr } = await call(["export", directory], { STOWAGE_URL: registry.url.href });
  assert.deepEqual([code, stdout], [1, ""]);
  assert.equal(
    stderr,
    `stowage: one: ${digestOf(lost)} cannot be read: the object is lost (request r1)\n` +
      "2 repositories: 2 manifests and 4 blobs, 6 of them fetched (1.2 KiB)\n",
  );
  for (const [name, bytes] of [
    ["one", kept],
    ["two", other],
  ] as const) {
    assert.deepEqual(new Uint8Array(readFileSync(fileOf(directory, name, bytes))), bytes);
    assert(existsSync(join(directory, name, "index.json")));
  }
});

for (const path of ["/api/v1/repositories/one/manifests", "/api/v1/repositories/one"]) {
  test(`a repository that was deleted since it was listed (${path} is gone) is no failure`, async (t) => {
    const registry = await registryOf({ one: [content()], two: [content()] }, (asked, response) => {
      if (asked === path) gone(response, "NAME_UNKNOWN");
      return asked === path;
    });
    const directory = temporary(t);
    const { code, stderr } = await call(["export", directory], { STOWAGE_URL: registry.url.href });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^one was deleted meanwhile, and is left out\n1 repository: 1 manifest and /);
    assert(existsSync(join(directory, "two", "index.json")));
    assert(!existsSync(join(directory, "one", "index.json")));
  });
}

for (const path of ["/api/v1/repositories/one/manifests", "/api/v1/repositories/one"]) {
  test(`a repository is not taken for deleted because of what a proxy answers for ${path}`, async (t) => {
    const registry = await registryOf({ one: [content()], two: [content()] }, (asked, response) => {
      if (asked === path) response.writeHead(404, { "Content-Type": "text/html" }).end("no such page");
      return asked === path;
    });
    const words = ["export", temporary(t), "--json"];
    const { code, stdout, stderr } = await call(words, { STOWAGE_URL: registry.url.href });
    assert.equal(code, 1);
    const { repositories, deleted, failed } = JSON.parse(stdout);
    assert.deepEqual([repositories, deleted, failed[0].name], [1, [], "one"]);
    assert.match(stderr, /^stowage: one: .* does not answer as Stowage does \(status 404\)/);
  });
}

test("a manifest that is not JSON is exported as it is, with everything else", async (t) => {
  const odd = encode("no JSON");
  const listed = { ...describe(odd, imageManifestType), tags: ["odd"] };
  const registry = await registryOf({ one: [content()], two: [content()] }, (path, response) => {
    if (path === "/api/v1/repositories/one/manifests") answer(response, 200, {}, { manifests: [listed] });
    else if (path.includes(digestOf(odd))) response.end(odd);
    else return false;
    return true;
  });
  const directory = temporary(t);
  const { code, stderr } = await call(["export", directory], { STOWAGE_URL: registry.url.href });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^2 repositories: 2 manifests and 2 blobs, /);
  assert.deepEqual(new Uint8Array(readFileSync(fileOf(directory, "one", odd))), odd);
});

test("a repository that cannot be listed does not hold up the others, and is named with the reason", async (t) => {
  const registry = await registryOf({ one: [content()], two: [content()] }, (path, response) => {
    const isRefused = path === "/api/v1/repositories/one/manifests";
    if (isRefused) answer(response, 403, problem, { title: "no", code: "DENIED", detail: "not here" });
    return isRefused;
  });
  const directory = temporary(t);
  const { code, stderr } = await call(["export", directory], { STOWAGE_URL: registry.url.href });
  assert.equal(code, 1);
  assert.match(stderr, /^1 repository: 1 manifest and 2 blobs, .*\nstowage: one: no: not here\n$/);
});

test("once the registry lets nobody in, nothing more is asked for", async (t) => {
  const layers = Array.from({ length: 60 }, () => content());
  let refusals = 0;
  const registry = await registryOf({ one: layers, two: [content()] }, (path, response) => {
    const isRefused = path.includes("/blobs/") && refusals++ === 0;
    if (isRefused) answer(response, 401, problem, { title: "no", code: "UNAUTHORIZED" });
    return isRefused;
  });
  const { code, stderr } = await call(["export", temporary(t)], { STOWAGE_URL: registry.url.href });
  assert.equal(code, 1);
  assert.match(stderr, /\nstowage: one: the registry asks for credentials: .*\nstowage: not tried: two\n$/);
  const asked = registry.paths().length;
  assert(asked < layers.length, `${asked} requests`);
  // No worker is left that would ask after the command has ended.
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(registry.paths().length, asked);
});

test("what is damaged in a layout is fetched again, as a new file; what shares the old one is mended as well", async (t) => {
  const shared = content(500);
  const registry = await registryOf({ one: [shared], two: [shared] });
  const directory = temporary(t);
  const environment = { STOWAGE_URL: registry.url.href };
  assert.equal((await call(["export", directory], environment)).code, 0);
  const [blob, sameBlob] = ["one", "two"].map((name) => fileOf(directory, name, shared)) as [string, string];
  assert.equal(statSync(blob).ino, statSync(sameBlob).ino, "the blob is linked");
  truncateSync(blob);
  const { manifests } = await new Layout(join(directory, "one")).readIndex();
  const manifest = new Layout(join(directory, "one")).pathOf(manifests[0]?.digest as Digest);
  const before = readFileSync(manifest);
  // As large as it was: only its hash tells.
  const file = await open(manifest, "r+");
  await file.write("?", 3);
  await file.close();
  const other = await open(sameBlob);
  afterTest(t, () => other.close());

  const { code, stderr } = await call(["export", directory], environment);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /: 2 manifests and 4 blobs, 3 of them fetched/);
  assert.deepEqual(readFileSync(manifest), before);
  for (const path of [blob, sameBlob]) assert.deepEqual(new Uint8Array(readFileSync(path)), shared);
  assert.equal((await other.stat()).size, 0, "the old file is as it was");
});

test("a blob whose size a manifest has wrong is fetched once", async (t) => {
  const layer = content(500);
  const { digest, mediaType } = describe(layer, layerType);
  const config = content(20);
  const manifest = imageManifest(describe(config, configType), [{ digest, mediaType, size: 499 }]);
  const listed = { ...describe(manifest, imageManifestType), tags: ["v1"] };
  const registry = await registryOf({ one: [layer] }, (path, response) => {
    if (path === "/api/v1/repositories/one/manifests") answer(response, 200, {}, { manifests: [listed] });
    else if (path.includes(digestOf(manifest))) response.end(manifest);
    else if (path.includes(digestOf(config))) response.end(config);
    else return false;
    return true;
  });
  const directory = temporary(t);
  for (const fetched of [3, 0]) {
    const { code, stderr } = await call(["export", directory], { STOWAGE_URL: registry.url.href });
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`: 1 manifest and 2 blobs, ${fetched} of them fetched`));
  }
});

test("a folder is made in one that this user may write and not read", async (t) => {
  const directory = temporary(t);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(directory, nobody, nobody);
  chmodSync(directory, 0o300);
  // Root may read everything.
  if (isRoot) process.seteuid?.(nobody);
  try {
    assert.throws(() => readdirSync(directory), { code: "EACCES" });
    await makeFolder(join(directory, "team", "app"));
  } finally {
    if (isRoot) process.seteuid?.(0);
    chmodSync(directory, 0o700);
  }
  assert(statSync(join(directory, "team", "app")).isDirectory());
});

test("files of a layout are synced before they have their names, and their folders before the index", async (t) => {
  const directory = temporary(t);
  const layout = new Layout(join(directory, "team", "app"));
  const bytes = content();
  const digest = digestOf(bytes) as Digest;
  const probe = await open(directory);
  const synced: string[] = [];
  const prototype = Object.getPrototypeOf(probe) as typeof probe;
  await probe.close();
  const { sync } = prototype;
  t.mock.method(prototype, "sync", async function (this: typeof probe) {
    const isFolder = (await this.stat()).isDirectory();
    const isNamed = existsSync(layout.pathOf(digest));
    const hasIndex = existsSync(join(layout.directory, "index.json"));
    synced.push(`${isFolder ? "folder" : "file"}${isNamed ? " blob" : ""}${hasIndex ? " index" : ""}`);
    return await sync.call(this);
  });
  await layout.write(digest, new Blob([bytes as Uint8Array<ArrayBuffer>]).stream(), () => {});
  // The folders team/app/blobs/sha256 in those above them, and the file.
  assert.deepEqual(synced.splice(0), [...Array(4).fill("folder"), "file"]);
  await layout.writeIndex({ manifests: [], visibility: "private", description: "", readme: "" });
  assert.deepEqual(synced.slice(0, 3), ["folder blob", "file blob", "folder blob index"]);
  assert(readdirSync(layout.directory).every((name) => !name.endsWith(".partial")));
});
