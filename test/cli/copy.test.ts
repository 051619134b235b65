import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import type { Client } from "../support/client.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
  layerType,
} from "../support/content.ts";
import { after } from "../support/ends-of-files.ts";
import { startRegistry } from "../support/registry.ts";
import { tarOf } from "../support/tar.ts";
import { answer, fakeRegistry } from "../unit/client/fake-registry.ts";
import { assertRefused, call } from "./command-line.ts";

const directory = mkdtempSync(join(tmpdir(), "stowage-copy-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const [one, two] = await Promise.all([startRegistry(), startRegistry()]);
const environment = { DOCKER_CONFIG: directory };

type Report = { tags: string[]; manifests: number; blobs: number; mounted: number; bytes: number };

async function report(...args: string[]): Promise<Report> {
  const { code, stdout, stderr } = await call([...args, "--json"], environment);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout);
}

const at = ({ url }: Client, rest: string) => `${new URL(url).host}/${rest}`;

/** An index of two images, with a signature that refers to it, one as cosign stores them, and one of a signature. */
async function pushSigned(registry: Client, repository: string) {
  const shared = content(5000);
  const images = [];
  for (const architecture of ["amd64", "arm64"]) {
    const image = await registry.pushImage(repository, `only-${architecture}`, [shared, content(3000)]);
    images.push({
      ...image,
      entry: { ...describe(image.manifest, imageManifestType), platform: { os: "linux", architecture } },
    });
  }
  const index = imageIndex(images.map(({ entry }) => entry));
  await registry.pushManifest(repository, "v1.0", index, imageIndexType);
  const subject = describe(index, imageIndexType);
  const signature = imageIndex([], { subject, artifactType: "application/vnd.example.signature" });
  await registry.pushManifest(repository, digestOf(signature), signature, imageIndexType);
  const above = imageIndex([], {
    subject: describe(signature, imageIndexType),
    artifactType: "application/vnd.example.note",
  });
  await registry.pushManifest(repository, digestOf(above), above, imageIndexType);
  const cosign = `${digestOf(index).replace(":", "-")}.sig`;
  await registry.pushImage(repository, cosign, [content(50)]);
  return { index, images, signature, above, cosign };
}

async function referrersOf(registry: Client, repository: string, digest: string): Promise<string[]> {
  const answer = await registry.must(200, "GET", `/v2/${repository}/referrers/${digest}`);
  return answer.json<{ manifests: { digest: string }[] }>().manifests.map((each) => each.digest);
}

test("an index is copied with its images and all that refers to it, and a second time nothing is sent", async () => {
  const { index, images, signature, above, cosign } = await pushSigned(one, "team/app");
  const words = ["copy", at(one, "team/app:v1.0"), at(two, "copies/app:v1.0")];
  const planned = await report(...words, "--dry-run");
  assert.equal((await two.get("/v2/copies/app/tags/list")).status, 404);
  const first = await report(...words);
  assert.deepEqual(first, planned);
  // Two configurations, three layers, and those of the signature.
  assert.deepEqual([first.manifests, first.blobs, first.tags.sort()], [6, 7, [cosign, "v1.0"].sort()]);
  const copied = await two.must(200, "GET", "/v2/copies/app/manifests/v1.0");
  assert.deepEqual(copied.bytes, index);
  for (const image of images) {
    const { bytes } = await two.must(200, "GET", `/v2/copies/app/manifests/${image.digest}`);
    assert.deepEqual(bytes, image.manifest);
  }
  assert.deepEqual(await referrersOf(two, "copies/app", digestOf(index)), [digestOf(signature)]);
  assert.deepEqual(await referrersOf(two, "copies/app", digestOf(signature)), [digestOf(above)]);
  assert.deepEqual(await report(...words), { ...first, tags: [], manifests: 0, blobs: 0, bytes: 0 });
});

test("what is missing is sent, and nothing else", async () => {
  const image = await one.pushImage("team/new", "v1", [content(4000), content(2000)]);
  const [there] = image.layers;
  const bytes = (await one.must(200, "GET", `/v2/team/new/blobs/${there}`)).bytes;
  await two.pushBlob("copies/new", bytes);
  const {
    manifests,
    blobs,
    bytes: sent,
  } = await report("copy", at(one, "team/new:v1"), at(two, "copies/new:v1"));
  assert.deepEqual([manifests, blobs, sent < 4000], [1, 2, true]);
  await two.pullImage("copies/new", "v1", image);
  const tagged = await report("copy", at(one, "team/new:v1"), at(two, "copies/new:v2"));
  assert.deepEqual([tagged.manifests, tagged.blobs, tagged.tags], [1, 0, ["v2"]]);
});

test("within a registry blobs are mounted", async () => {
  const image = await one.pushImage("team/mounted", "v1", [content(4000)]);
  const { blobs, mounted } = await report(
    "copy",
    at(one, "team/mounted:v1"),
    at(one, "elsewhere/mounted:v1"),
  );
  assert.deepEqual([blobs, mounted], [2, 2]);
  await one.pullImage("elsewhere/mounted", "v1", image);
});

test("one image of an index, and all tags like a pattern", async () => {
  const { images } = await pushSigned(one, "team/many");
  await report("copy", at(one, "team/many:v1.0"), at(two, "copies/one:v1"), "--platform", "linux/arm64");
  const { bytes } = await two.must(200, "GET", "/v2/copies/one/manifests/v1");
  assert.deepEqual(bytes, images[1]?.manifest);
  const wrong = await call(
    ["copy", at(one, "team/many:v1.0"), at(two, "x:v1"), "--platform", "linux/s390x"],
    environment,
  );
  assertRefused(wrong, 1, /has no image for linux\/s390x; there are linux\/amd64, linux\/arm64/);
  const { tags } = await report("copy", at(one, "team/many"), at(two, "copies/many"), "--tags", "only-*");
  assert.deepEqual(tags, ["only-amd64", "only-arm64"]);
  await one.pushManifest("team/many", "v0", imageIndex([]), imageIndexType);
  const some = ["copy", at(one, "team/many"), at(two, "copies/some"), "--tags", "v*", "--json"];
  const { code, stdout, stderr } = await call([...some, "--platform", "linux/amd64"], environment);
  assert.deepEqual([code, JSON.parse(stdout).tags], [1, ["v1.0"]]);
  assert.match(stderr, /^stowage: v0: \S+ has no image for linux\/amd64; there are none$/m);
});

test("what a registry lists beside its tags, and is none, is asked of nobody", async () => {
  const index = imageIndex([]);
  const registry = await fakeRegistry(({ path }, response) => {
    if (path.includes("/tags/list")) return answer(response, 200, {}, { tags: ["v1", "../../../outside"] });
    response
      .writeHead(200, { "Content-Type": imageIndexType })
      .end(path.includes("/manifests/") ? index : "{}");
  });
  const { tags } = await report("copy", `${registry.url.host}/a`, at(two, "listed"), "--tags", "*");
  assert.deepEqual(tags, ["v1"]);
  assert(registry.paths().every((path) => !path.includes("outside")));
});

/** A registry that has manifests, by tags and digests, and gives no list of tags. */
async function listless(manifestOf: (reference: string) => Uint8Array | undefined) {
  return await fakeRegistry(({ method, path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    const reference = /^\/v2\/a\/manifests\/(.*)$/.exec(path)?.[1];
    if (reference === undefined) return answer(response, path.includes("/tags/") ? 403 : 404, {}, {});
    const manifest = manifestOf(reference);
    if (manifest === undefined) return answer(response, 404, {}, {});
    response.writeHead(200, {
      "Content-Type": imageIndexType,
      "Content-Length": manifest.byteLength,
      "Docker-Content-Digest": digestOf(manifest),
    });
    response.end(method === "HEAD" ? undefined : manifest);
  });
}

test("one image is copied from who may not list tags, and nothing is read that is there", async () => {
  const [index, signature] = [imageIndex([]), imageIndex([], { annotations: { of: "a signature" } })];
  const sig = `${digestOf(index).replace(":", "-")}.sig`;
  const manifests: Record<string, Uint8Array> = { v1: index, [sig]: signature };
  for (const each of [index, signature]) manifests[digestOf(each)] = each;
  const registry = await listless((reference) => manifests[reference]);
  const words = ["copy", `${registry.url.host}/a:v1`, at(two, "listless:v1")];
  assert.deepEqual((await report(...words)).tags, [sig, "v1"]);
  assert.deepEqual((await two.must(200, "GET", `/v2/listless/manifests/${sig}`)).bytes, signature);
  const isRead = (path: string) => /^GET .*\/manifests\/(?!sha256-[0-9a-f]+$)/.test(path);
  // Each once: registries count what is read.
  assert.equal(registry.paths().filter(isRead).length, 2);
  registry.seen.length = 0;
  assert.deepEqual((await report(...words)).tags, []);
  assert.deepEqual(registry.paths().filter(isRead), []);
});

test("what a registry does not say to HEAD is asked with GET: why it refuses, and what is there", async () => {
  const index = imageIndex([]);
  const refuses = async (status: number, isAlways: boolean) => {
    const registry = await fakeRegistry(({ method, path }, response) => {
      const isManifest = path.endsWith("/manifests/v1") || path.endsWith(`/manifests/${digestOf(index)}`);
      if (!isManifest) return answer(response, path === "/v2/" ? 200 : 404, {}, {});
      if (method === "HEAD" || isAlways)
        return answer(response, status, {}, { errors: [{ code: "DENIED", message: "not for you" }] });
      response.writeHead(200, { "Content-Type": imageIndexType }).end(index);
    });
    return await call(["copy", `${registry.url.host}/a:v1`, at(two, `heads:${status}`)], environment);
  };
  assertRefused(await refuses(403, true), 1, /not for you/);
  assert.equal((await refuses(405, false)).code, 0);
  assert.deepEqual((await two.must(200, "GET", "/v2/heads/manifests/405")).bytes, index);
});

test("signatures of signatures end at some depth, whatever a registry has", async () => {
  const endless: Record<string, Uint8Array> = {};
  const registry = await listless((reference) => {
    if (reference !== "v1" && !reference.endsWith(".sig")) return endless[reference];
    const manifest = imageIndex([], { annotations: { of: reference } });
    endless[digestOf(manifest)] = manifest;
    return manifest;
  });
  const words = ["copy", `${registry.url.host}/a:v1`, at(two, "endless:v1"), "--dry-run"];
  assertRefused(await call(words, environment), 1, /manifests in manifests go too deep/);
});

test("of many tags a few are asked for at a time, and those are left out that are deleted meanwhile", async () => {
  const index = imageIndex([]);
  const tags = Array.from({ length: 50 }, (_, number) => `v${number}`);
  let [underWay, most] = [0, 0];
  const registry = await fakeRegistry(async ({ method, path }, response) => {
    if (path.includes("/tags/list")) return answer(response, 200, {}, { tags });
    if (path.includes("/referrers/")) return answer(response, 404, {}, {});
    most = Math.max(most, ++underWay);
    // What else has arrived is answered first.
    await new Promise(setImmediate);
    underWay--;
    if (path.endsWith("/v7") || path.endsWith(`/${digestOf(index).replace(":", "-")}`))
      return answer(response, 404, {}, {});
    const headers = { "Content-Type": imageIndexType, "Docker-Content-Digest": digestOf(index) };
    response.writeHead(200, headers).end(method === "HEAD" ? undefined : index);
  });
  const copied = await report("copy", `${registry.url.host}/a`, at(two, "many"), "--tags", "*");
  assert.deepEqual(copied.tags.sort(), tags.filter((tag) => tag !== "v7").sort());
  assert(most <= 4, String(most));
});

test("of several images one that cannot be copied does not hold up the others, and is named", async () => {
  const [lost, kept] = [content(100), content(200)];
  const images = ["v1", "v2", "v3"].map((tag) => {
    const layers = [kept, ...(tag === "v2" ? [] : [lost])].map((each) => describe(each, layerType));
    return [tag, imageManifest(describe(encode({ tag }), configType), layers)] as const;
  });
  const manifests: Record<string, Uint8Array> = Object.fromEntries(images);
  for (const [, manifest] of images) manifests[digestOf(manifest)] = manifest;
  const blobs = Object.fromEntries(
    [kept, ...images.map(([tag]) => encode({ tag }))].map((each) => [digestOf(each), each]),
  );
  const registry = await fakeRegistry(({ method, path }, response) => {
    const name = path.split("/").at(-1) ?? "";
    if (path.includes("/tags/list")) return answer(response, 200, {}, { tags: ["v1", "v2", "v3"] });
    const found = path.includes("/blobs/") ? blobs[name] : manifests[name];
    if (found === undefined) return answer(response, path === "/v2/" ? 200 : 404, {}, {});
    const headers = { "Content-Type": imageManifestType, "Content-Length": found.byteLength };
    response.writeHead(200, headers).end(method === "HEAD" ? undefined : found);
  });
  const from = `${registry.url.host}/a`;
  const layout = join(directory, "some");
  const outcome = await call(["copy", from, `oci:${layout}`, "--tags", "*", "--json"], environment);
  assert.equal(outcome.code, 1, outcome.stderr);
  const reason = new RegExp(`^stowage: v1: blob ${digestOf(lost)}: it is not there$`, "m");
  assert.match(outcome.stderr, reason);
  const { tags, failed, untried } = JSON.parse(outcome.stdout);
  assert.deepEqual(
    [tags, failed.map((each: { name: string }) => each.name), untried],
    [["v2"], ["v1", "v3"], []],
  );
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
  assert.deepEqual(
    index.manifests.map((each: { digest: string }) => each.digest),
    [digestOf(manifests.v2 as Uint8Array)],
  );
  // None of them is let in, and none now.
  for (const status of [401, 429]) {
    const closed = await fakeRegistry((_, response) => answer(response, status, { "Retry-After": "3600" }));
    const refused = await call(["copy", from, `${closed.url.host}/a`, "--tags", "*"], environment);
    assert.match(refused.stderr, /^stowage: not tried: v2, v3$/m);
  }
});

test("of many tags one that is not answered does not hold up the others, and is named", async () => {
  const index = imageIndex([]);
  const registry = await fakeRegistry(({ method, path }, response) => {
    if (path.includes("/tags/list")) return answer(response, 200, {}, { tags: ["v1", "v2", "v3"] });
    if (path.includes("/referrers/")) return answer(response, 404, {}, {});
    if (path.endsWith("/v2")) return answer(response, 501, {}, {});
    if (path.endsWith(`/${digestOf(index).replace(":", "-")}`)) return answer(response, 404, {}, {});
    const headers = { "Content-Type": imageIndexType, "Docker-Content-Digest": digestOf(index) };
    response.writeHead(200, headers).end(method === "HEAD" ? undefined : index);
  });
  const words = ["copy", `${registry.url.host}/a`, at(two, "unanswered"), "--tags", "*"];
  const { code, stdout, stderr } = await call([...words, "--json"], environment);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^stowage: v2: manifest v2: \S+ answers with status 501$/m);
  const { tags, failed } = JSON.parse(stdout);
  assert.deepEqual([tags, failed.map((each: { name: string }) => each.name)], [["v1", "v3"], ["v2"]]);
  // What is known is not all that there is.
  const named = words.with(2, at(two, "unanswered:v9"));
  assertRefused(await call(named, environment), 2, /has 3 images: leave the tag out/);
});

test("to a layout and back: everything is as it was, and the layout is one", async () => {
  const { index, signature, cosign } = await pushSigned(one, "team/layout");
  const layout = join(directory, "layout");
  const there = await report("copy", at(one, "team/layout:v1.0"), `oci:${layout}`);
  assert.deepEqual(there.tags.sort(), [cosign, "v1.0"].sort());
  for (const name of readdirSync(join(layout, "blobs", "sha256"))) {
    const hash = createHash("sha256").update(readFileSync(join(layout, "blobs", "sha256", name)));
    assert.equal(hash.digest("hex"), name);
  }
  assert.deepEqual(await report("copy", at(one, "team/layout:v1.0"), `oci:${layout}`), {
    ...there,
    tags: [],
    manifests: 0,
    blobs: 0,
    bytes: 0,
  });
  const words = ["push", layout, at(two, "copies/layout")];
  const planned = await report(...words, "--dry-run");
  const back = await report(...words);
  assert.deepEqual(back, planned);
  assert.deepEqual(back.tags.sort(), [cosign, "v1.0"].sort());
  assert.deepEqual((await two.must(200, "GET", "/v2/copies/layout/manifests/v1.0")).bytes, index);
  assert.deepEqual(await referrersOf(two, "copies/layout", digestOf(index)), [digestOf(signature)]);
  const only = await report("copy", `oci:${layout}:v1.0`, at(two, "copies/only:v2"));
  assert.deepEqual(only.tags.sort(), [cosign, "v2"].sort());
});

/** An image as `docker save` writes it: of before docker 25, or since. */
function savedImage(isOld: boolean) {
  const layers = [tarOf({ "a.txt": encode("one") }), tarOf({ "b.txt": content(2000) })];
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) };
  const config = encode({ architecture: "amd64", os: "linux", config: {}, rootfs });
  const type = "application/vnd.oci.image.layer.v1.tar";
  const manifest = encode({
    schemaVersion: 2,
    mediaType: imageManifestType,
    config: describe(config, "application/vnd.oci.image.config.v1+json"),
    layers: layers.map((layer) => describe(layer, type)),
  });
  const hex = (bytes: Uint8Array) => digestOf(bytes).slice("sha256:".length);
  if (isOld) {
    const names = layers.map((layer) => `${hex(layer)}/layer.tar`);
    const saved = [
      { Config: `${hex(config)}.json`, RepoTags: ["team/app:v1", "team/app:v2"], Layers: names },
    ];
    const files = Object.fromEntries(names.map((name, at) => [name, layers[at] ?? new Uint8Array()]));
    const all = { [`${hex(config)}.json`]: config, ...files, "manifest.json": encode(saved) };
    return { manifest, files: all, archive: tarOf(all) };
  }
  const named = {
    ...describe(manifest, imageManifestType),
    annotations: { "org.opencontainers.image.ref.name": "v1" },
  };
  const blobs = [config, manifest, ...layers].map((each) => [`blobs/sha256/${hex(each)}`, each]);
  const files = {
    ...Object.fromEntries(blobs),
    "index.json": encode({ schemaVersion: 2, manifests: [named] }),
    "oci-layout": encode({ imageLayoutVersion: "1.0.0" }),
  };
  return { manifest, files, archive: tarOf(files) };
}

for (const isOld of [true, false]) {
  const which = isOld ? "of before docker 25" : "of docker 25 and later";
  test(`an archive ${which} is pushed from a file and from stdin`, async () => {
    const { manifest, archive } = savedImage(isOld);
    const file = join(directory, `saved-${isOld}.tar`);
    writeFileSync(file, archive);
    const repository = `saved/${isOld ? "old" : "new"}`;
    const { tags, blobs } = await report("push", file, at(two, repository));
    assert.deepEqual([tags, blobs], [isOld ? ["v1", "v2"] : ["v1"], 3]);
    assert.deepEqual((await two.must(200, "GET", `/v2/${repository}/manifests/v1`)).bytes, manifest);
    const piped = await call(["push", "-", at(two, `${repository}/piped:v3`)], environment, archive);
    assert.equal(piped.code, 0, piped.stderr);
    assert.deepEqual((await two.must(200, "GET", `/v2/${repository}/piped/manifests/v3`)).bytes, manifest);
  });
}

test("images of an archive that have the same tag are refused, and each can still be pushed by another tag", async () => {
  const config = (name: string) => encode({ architecture: "amd64", os: "linux", name });
  const archive = tarOf({
    app: config("app"),
    db: config("db"),
    "manifest.json": encode([
      { Config: "app", RepoTags: ["app:latest", "app:v1"], Layers: [] },
      { Config: "db", RepoTags: ["db:latest"], Layers: [] },
    ]),
  });
  const file = join(directory, "same-tag.tar");
  writeFileSync(file, archive);
  for (const to of ["same-tag", "same-tag:latest"]) {
    const refused = await call(["push", file, at(two, to)], environment);
    assertRefused(
      refused,
      2,
      /has 2 images with the tag latest, and a repository has one: save each of them/,
    );
  }
  assert.equal((await two.get("/v2/same-tag/tags/list")).status, 404);
  assert.deepEqual((await report("push", file, at(two, "same-tag:v1"))).tags, ["v1"]);
});

test("an archive with one platform of an index says so before anything is sent", async () => {
  const { manifest, files } = savedImage(false);
  const other = imageManifest(describe(content(), configType), []);
  const [amd64, arm64] = ["amd64", "arm64"].map((architecture) => ({
    platform: { os: "linux", architecture },
  }));
  const index = imageIndex([
    describe(manifest, imageManifestType, amd64),
    describe(other, imageManifestType, arm64),
  ]);
  const ref = { annotations: { "org.opencontainers.image.ref.name": "v1" } };
  const file = join(directory, "one-platform.tar");
  writeFileSync(
    file,
    tarOf({
      ...files,
      [`blobs/sha256/${digestOf(index).slice("sha256:".length)}`]: index,
      "index.json": encode({ schemaVersion: 2, manifests: [describe(index, imageIndexType, ref)] }),
    }),
  );
  const refused = await call(["push", file, at(two, "one-platform")], environment);
  assertRefused(
    refused,
    1,
    /one-platform\.tar has only linux\/amd64 of this index: use --platform linux\/amd64$/m,
  );
  assert.equal((await two.get("/v2/one-platform/tags/list")).status, 404);
  await report("push", file, at(two, "one-platform"), "--platform", "linux/amd64");
  assert.deepEqual((await two.must(200, "GET", "/v2/one-platform/manifests/v1")).bytes, manifest);
});

test("an index that is not JSON is refused by its digest, before anything is sent", async () => {
  const bytes = encode("no JSON");
  const ref = { annotations: { "org.opencontainers.image.ref.name": "v1" } };
  const file = join(directory, "no-json.tar");
  const blob = `blobs/sha256/${digestOf(bytes).slice("sha256:".length)}`;
  const index = encode({ schemaVersion: 2, manifests: [describe(bytes, imageIndexType, ref)] });
  writeFileSync(file, tarOf({ [blob]: bytes, "index.json": index }));
  const words = ["push", file, at(two, "no-json")];
  const reason = `the manifest ${digestOf(bytes)} cannot be copied: not JSON`;
  assertRefused(await call(words, environment), 1, new RegExp(reason));
  const platform = [...words, "--platform", "linux/amd64"];
  assertRefused(await call(platform, environment), 1, /has no image for linux\/amd64; there are none$/m);
});

/** An archive whose first entry says that it is so long, in octal digits. */
function withSize(archive: Uint8Array, digits: string): Uint8Array {
  const changed = Buffer.from(archive);
  changed.write(`${digits}\0`, 124);
  changed.write("        ", 148);
  const sum = changed.subarray(0, 512).reduce((total: number, byte: number) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return changed;
}

test("a layer of no bytes in an old archive is one", async () => {
  const archive = tarOf({
    config: encode({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } }),
    empty: new Uint8Array(),
    "manifest.json": encode([{ Config: "config", RepoTags: null, Layers: ["empty"] }]),
  });
  writeFileSync(join(directory, "empty-layer.tar"), archive);
  const { blobs } = await report("push", join(directory, "empty-layer.tar"), at(two, "empty-layer:v1"));
  assert.equal(blobs, 2);
});

test("bad input is one line: names, files, archives, destinations", async () => {
  const noArchive = join(directory, "none.tar");
  writeFileSync(noArchive, content(2000));
  const empty = join(directory, "empty.tar");
  writeFileSync(empty, tarOf({ "a.txt": encode("a") }));
  const noLayout = join(directory, "none");
  mkdirSync(noLayout);
  const many = join(directory, "layout");
  const hostile = (name: string, archive: Uint8Array) => {
    writeFileSync(join(directory, name), archive);
    return join(directory, name);
  };
  const saved = (image: unknown) => tarOf({ config: encode("{}"), "manifest.json": encode([image]) });
  const noIndex = join(directory, "no-index");
  mkdirSync(noIndex);
  writeFileSync(join(noIndex, "index.json"), JSON.stringify({ manifests: [null] }));
  const to = at(two, "bad:v1");
  const cases: [args: string[], code: number, message: RegExp][] = [
    [["copy", "app", to], 2, /"app" is no image/],
    [["copy", at(one, "team/app@sha256:12"), to], 2, /is no image/],
    [
      ["copy", at(one, "team/app:v1.0"), at(two, `x@${digestOf(content())}`)],
      2,
      /a destination has no digest/,
    ],
    [["copy", at(one, "team/app:v1.0"), to, "--tags", "v*"], 2, /--tags names tags/],
    [["copy", at(one, "team/app:none"), to], 1, /there is no .*team\/app:none/],
    [["copy", "127.0.0.1:2/app:v1", to], 1, /cannot reach http:\/\/127\.0\.0\.1:2: /],
    [["push", noArchive, to], 1, /is no tar archive/],
    [
      ["push", hostile("saved.tar.gz", gzipSync(saved({}), { level: 0 })), to],
      1,
      /is compressed: gzip -dc writes/,
    ],
    [["push", empty, to], 1, /is neither an archive of docker save nor an image layout/],
    [["push", noLayout, to], 1, /no such file/i],
    [["push", noIndex, to], 1, /is no index of an image layout/],
    [["push", hostile("cut.tar", saved({}).subarray(0, 1100)), to], 1, /is damaged or cut short/],
    [["push", hostile("huge.tar", withSize(saved({}), "77777777777")), to], 1, /is damaged or cut short/],
    [
      ["push", hostile("layers.tar", saved({ Config: "config", Layers: [1] })), to],
      1,
      /not as docker writes/,
    ],
    [
      ["push", hostile("tags.tar", saved({ Config: "config", Layers: [], RepoTags: [1] })), to],
      1,
      /not as docker writes/,
    ],
    [["push", join(directory, "absent"), to], 1, /cannot read .*absent: /],
    [["push", many, to], 2, /images: leave the tag out/],
    [["push", "-", to, "--username", "a", "--password-stdin"], 2, /the archive is on stdin/],
  ];
  for (const [args, code, message] of cases) assertRefused(await call(args, environment), code, message);
  for (const [archive, message] of [
    [gzipSync(saved({})), /what is on stdin is compressed: gzip -dc writes/],
    [content(2000), /what is on stdin is no tar archive/],
    [tarOf({}), /what is on stdin is neither an archive of docker save nor/],
  ] as const) {
    assertRefused(await call(["push", "-", to], environment, archive), 1, message);
  }
  assert.equal((await two.get("/v2/bad/tags/list")).status, 404);
});

test("a blob that is damaged at its source is not reported as copied", async () => {
  const image = await one.pushImage("team/damaged", "v1", [content(4000)]);
  const layout = join(directory, "damaged");
  await report("copy", at(one, "team/damaged:v1"), `oci:${layout}`);
  writeFileSync(join(layout, "blobs", String(image.layers[0]).replace(":", "/")), content(4000));
  const refused = await call(["push", layout, at(two, "damaged")], environment);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^stowage: blob sha256:\w+: the digest is malformed, .* not that of the content/m,
  );
  assert.equal((await two.get("/v2/damaged/manifests/v1")).status, 404);
});

test("a blob whose size nobody says is named", async () => {
  const blob = content(10);
  const mediaType = "application/vnd.example.list+json";
  const manifest = encode({ mediaType, things: [{ digest: digestOf(blob) }] });
  const registry = await fakeRegistry(({ method, path }, response) => {
    if (path.includes("/referrers/") || path.endsWith(".sig")) return answer(response, 404, {}, {});
    const isManifest = path.includes("/manifests/");
    response.writeHead(200, isManifest ? { "Content-Type": mediaType } : {});
    response.end(method === "HEAD" ? undefined : isManifest ? manifest : blob);
  });
  const words = ["copy", `${registry.url.host}/a:v1`, at(two, "unsized:v1")];
  assertRefused(await call(words, environment), 1, /:v1 does not say how large sha256:\w+ is/);
});

test("a manifest that is not that of its digest, or larger than one may be, is not pushed under its tag", async () => {
  const image = await one.pushImage("team/changed", "v1");
  const layout = join(directory, "changed");
  await report("copy", at(one, "team/changed:v1"), `oci:${layout}`);
  const file = join(layout, "blobs", image.digest.replace(":", "/"));
  writeFileSync(file, `${readFileSync(file, "utf8")} `);
  const changed = await call(["push", layout, at(two, "changed")], environment);
  assertRefused(changed, 1, /is damaged: what is there for sha256:\w+ is sha256:\w+/);
  writeFileSync(file, Buffer.alloc(4 * 1024 * 1024 + 1));
  assertRefused(await call(["push", layout, at(two, "changed")], environment), 1, /is no manifest/);
  assert.equal((await two.get("/v2/changed/manifests/v1")).status, 404);
});
