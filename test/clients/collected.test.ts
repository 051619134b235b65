/** What skopeo and crane read in manifests is there after collection, however the manifests are written. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { dockerManifestType, imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { temporaryDirectory, until } from "../local/program.ts";
import { expectError } from "../support/answer.ts";
import { Client } from "../support/client.ts";
import {
  configType,
  content,
  type Descriptor,
  describe,
  digestOf,
  encode,
  layerType,
} from "../support/content.ts";
import { earlierData } from "../support/earlier-data.ts";
import { gc, usage } from "../support/upkeep.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { freePort, type Server, startServer } from "./support/server.ts";

/** All that nothing references goes three seconds after it was pushed. */
const vars = { GC_GRACE: "3s", DELETE_DELAY: "0s" };

const skopeo = (...args: string[]) => run("skopeo", ["--insecure-policy", ...args]);
const crane = (...args: string[]) => run("crane", args);

/** A server with its client, and what the two programs pull from it. */
class Collected {
  readonly client: Client;
  readonly #server: Server;
  readonly #directory: string;
  #pulls = 0;

  constructor(t: TestContext, server: Server) {
    this.#server = server;
    this.client = new Client(server.url);
    this.#directory = temporaryDirectory(t);
  }

  image(repository: string, tag: string): string {
    return `${this.#server.host}/${repository}:${tag}`;
  }

  /** Waits until collection has left but so many blobs in a repository, one more of which nothing references. */
  async collect(repository: string, left: number): Promise<void> {
    await this.client.pushBlob(repository, content());
    await until("collection", async () => {
      await gc(this.client);
      const { repositories } = await usage(this.client);
      return (repositories.find(({ name }) => name === repository)?.blobs ?? 0) <= left;
    });
  }

  /** Pulls with skopeo; returns the digests that it has. */
  async withSkopeo(repository: string, tag: string): Promise<string[]> {
    const to = join(this.#directory, `skopeo-${this.#pulls++}`);
    await skopeo("copy", "--src-tls-verify=false", `docker://${this.image(repository, tag)}`, `dir:${to}`);
    return namedIn(to, (digest) => join(to, digest.slice("sha256:".length)));
  }

  /** Pulls with crane; returns the digests that it has. */
  async withCrane(repository: string, tag: string): Promise<string[]> {
    const to = join(this.#directory, `crane-${this.#pulls++}`);
    await crane("pull", "--format=oci", this.image(repository, tag), to);
    return namedIn(to, (digest) => join(to, "blobs", ...digest.split(":")));
  }
}

/** The files below a folder that are named after their digest, and are what that says. */
async function namedIn(directory: string, pathOf: (digest: string) => string): Promise<string[]> {
  const files = await readdir(directory, { recursive: true });
  const named = files
    .map((file) => file.split("/").at(-1) ?? "")
    .filter((name) => /^[0-9a-f]{64}$/.test(name));
  for (const name of named)
    assert.equal(digestOf(await readFile(pathOf(`sha256:${name}`))), `sha256:${name}`);
  return named.map((name) => `sha256:${name}`);
}

async function serveCollected(t: TestContext, data = temporaryDirectory(t)): Promise<Collected> {
  return new Collected(t, await startServer(t, { data, port: await freePort(), vars }));
}

/** The parts of an image that programs take for one. */
function parts(): { config: Uint8Array; layer: Uint8Array; archive: Uint8Array } {
  // An archive without files, and a tail that nobody reads, which makes it this test's own.
  const archive = Buffer.concat([new Uint8Array(1024), content(1024)]);
  const layer = gzipSync(archive);
  const config = encode({
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [digestOf(archive)] },
    history: [{ created: "2026-01-01T00:00:00Z" }],
  });
  return { config, layer, archive };
}

async function pushParts(
  client: Client,
  repository: string,
): Promise<{ config: Descriptor; layer: Descriptor }> {
  const { config, layer } = parts();
  for (const bytes of [config, layer]) await client.pushBlob(repository, bytes);
  return { config: describe(config, configType), layer: describe(layer, layerType) };
}

const digests = (...descriptors: Descriptor[]) => descriptors.map(({ digest }) => digest).toSorted();

test("schema 1 is refused, and pulled after collection once it is converted as the refusal says", async (t) => {
  if (!hasPrograms(t, "skopeo", "crane")) return;
  const at = await serveCollected(t);
  const { client } = at;
  const { layer } = parts();
  const directory = temporaryDirectory(t);
  const compatibility = {
    id: "0".repeat(64),
    created: "2016-01-01T00:00:00Z",
    os: "linux",
    architecture: "amd64",
  };
  const manifest = JSON.stringify({
    schemaVersion: 1,
    name: "old",
    tag: "v1",
    architecture: "amd64",
    fsLayers: [{ blobSum: digestOf(layer) }],
    history: [{ v1Compatibility: JSON.stringify(compatibility) }],
  });
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "version"), "Directory Transport Version: 1.1\n");
  await writeFile(join(directory, "manifest.json"), manifest);
  await writeFile(join(directory, digestOf(layer).slice("sha256:".length)), layer);

  await client.pushBlob("old", layer);
  for (const type of ["application/vnd.docker.distribution.manifest.v1+json", "application/json"]) {
    const answer = await client.putManifest("old", "v1", encode(manifest), type);
    const { message } = expectError(answer, 400, "MANIFEST_INVALID");
    assert.match(message, /skopeo copy --format v2s2/);
  }
  const to = `docker://${at.image("old", "v1")}`;
  await skopeo("copy", "--format", "v2s2", "--dest-tls-verify=false", `dir:${directory}`, to);
  await at.collect("old", 2);
  const pulled = await client.must(200, "GET", "/v2/old/manifests/v1");
  assert.equal(pulled.header("Content-Type"), dockerManifestType);
  const { config, layers } = pulled.json<{ config: Descriptor; layers: Descriptor[] }>();
  for (const names of [await at.withSkopeo("old", "v1"), await at.withCrane("old", "v1")]) {
    for (const digest of digests(config, ...layers)) assert(names.includes(digest), digest);
  }
});

test("an image that is stored under an unknown type is pulled as its readers see it, after collection", async (t) => {
  if (!hasPrograms(t, "skopeo", "crane")) return;
  const at = await serveCollected(t);
  const { client } = at;
  const { config, layer } = await pushParts(client, "odd");
  const other = await pushParts(client, "odd");
  // Go takes the second list: `Layers` is `layers` too.
  const manifest = { schemaVersion: 2, config, layers: [other.layer], Layers: [layer] };
  await client.pushManifest("odd", "v1", encode(manifest), "application/vnd.example+json");
  await at.collect("odd", 3);
  assert((await at.withCrane("odd", "v1")).includes(layer.digest));
  const { stdout } = await skopeo(
    "inspect",
    "--raw",
    "--tls-verify=false",
    `docker://${at.image("odd", "v1")}`,
  );
  assert.equal(stdout, JSON.stringify(manifest));
  for (const { digest } of [config, layer, other.layer]) {
    await crane("blob", `${at.image("odd", "v1").replace(/:v1$/, "")}@${digest}`);
  }
});

test("what two programs would read differently is refused, and what they read alike is pulled after collection", async (t) => {
  if (!hasPrograms(t, "skopeo", "crane")) return;
  const at = await serveCollected(t);
  const { client } = at;
  const [one, two] = [await pushParts(client, "alike"), await pushParts(client, "alike")];
  const image = { schemaVersion: 2, mediaType: imageManifestType, config: one.config, layers: [one.layer] };
  for (const more of [
    `"Layers":${JSON.stringify([two.layer])}`,
    `"la\\u0079ers":${JSON.stringify([two.layer])}`,
  ]) {
    const source = `${JSON.stringify(image).slice(0, -1)},${more}}`;
    expectError(await client.putManifest("alike", "v1", encode(source)), 400, "MANIFEST_INVALID");
  }
  // Annotations are data, whatever their names; an escaped name is a name.
  const source = JSON.stringify({ ...image, annotations: { Layers: "a", digest: "b" } });
  await client.pushManifest("alike", "v1", encode(source.replace('"layers"', '"la\\u0079ers"')));
  const index = { schemaVersion: 2, mediaType: imageIndexType, manifests: [] };
  await client.pushManifest("alike", "index", encode(index), imageIndexType);
  await at.collect("alike", 2);
  for (const names of [await at.withSkopeo("alike", "v1"), await at.withCrane("alike", "v1")]) {
    for (const digest of digests(one.config, one.layer)) assert(names.includes(digest), digest);
    assert(!names.includes(two.layer.digest));
  }
});

test("a config must be there, a layer may be elsewhere, and one that is not elsewhere yet is kept", async (t) => {
  if (!hasPrograms(t, "skopeo", "crane")) return;
  const at = await serveCollected(t);
  const { client } = at;
  const { config, layer } = await pushParts(client, "parts");
  const urls = [`${client.url}/v2/parts/blobs/${layer.digest}`];
  const image = { schemaVersion: 2, mediaType: imageManifestType, config, layers: [{ ...layer, urls }] };
  const absent = describe(content(), configType, { urls });
  expectError(
    await client.putManifest("parts", "v1", encode({ ...image, config: absent })),
    404,
    "MANIFEST_BLOB_UNKNOWN",
  );
  await client.pushManifest("parts", "v1", encode(image));
  await at.collect("parts", 2);
  for (const names of [await at.withSkopeo("parts", "v1"), await at.withCrane("parts", "v1")]) {
    for (const digest of digests(config, layer)) assert(names.includes(digest), digest);
  }
});

test("images of an earlier release are pulled after an upgrade and collection, as each program reads them", async (t) => {
  if (!hasPrograms(t, "skopeo", "crane")) return;
  const at = await serveCollected(t, earlierData("before-rereading.tar.gz"));
  const repository = "team/earlier";
  await at.collect(repository, 11);
  const earlier = (name: string) => digestOf(encode(`earlier: ${name}`));
  for (const [tag, name] of [
    ["folded", "folded"],
    ["long-s", "long s"],
  ] as const) {
    const names = [await at.withSkopeo(repository, tag), await at.withCrane(repository, tag)];
    for (const each of names) assert(each.includes(earlier(name)), `${tag}: ${each}`);
  }
  assert((await at.withSkopeo(repository, "schema1-untyped")).includes(earlier("schema 1 of no type")));
});
