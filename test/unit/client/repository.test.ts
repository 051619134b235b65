import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import test from "node:test";
import type { Credential } from "../../../src/client/credentials.ts";
import { systemFetch } from "../../../src/client/node.ts";
import { followPages } from "../../../src/client/pages.ts";
import { pushBlob } from "../../../src/client/push-blob.ts";
import { RemoteRepository, referrersTag } from "../../../src/client/repository.ts";
import { Transport } from "../../../src/client/transport.ts";
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import {
  type Digest,
  digestOfContent,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../../../src/oci/reference.ts";
import {
  configType,
  content,
  describe,
  imageIndex,
  imageManifest,
  layerType,
} from "../../support/content.ts";
import { startTimedRegistry } from "../../support/timed-registry.ts";
import { answer, fakeRegistry, transportTo } from "./fake-registry.ts";

const password = "correct horse battery";
const timed = await startTimedRegistry({ vars: { ADMIN_PASSWORD: password, TOKEN_TTL: "5s" } });
const admin: Credential = { kind: "password", username: "admin", password };

function repositoryOf(
  text: string,
  credential: Credential | "none" = admin,
  actions = ["pull", "push", "delete"],
) {
  const name = parseRepositoryName(text);
  assert(name !== undefined);
  const options = {
    registry: new URL(timed.registry.url),
    fetch: systemFetch(),
    credentials: async () => (credential === "none" ? undefined : credential),
  };
  return new RemoteRepository(new Transport(options), name, actions);
}

const tag = (text: string) => parseTag(text) as Tag;
const digest = (bytes: Uint8Array) => digestOfContent(bytes, "sha256");

function push(repository: RemoteRepository, bytes: Uint8Array, from?: RepositoryName) {
  const open = async () => ({
    size: bytes.byteLength,
    read: async (buffer: Uint8Array, offset: number) => {
      buffer.set(bytes.subarray(offset, offset + buffer.byteLength));
      return Math.min(buffer.byteLength, bytes.byteLength - offset);
    },
  });
  return pushBlob(repository, digest(bytes), open, { from, chunkBytes: 1024 * 1024 });
}

const [layer, config] = [content(3 * 1024 * 1024 + 5), content(100)];
const manifest = imageManifest(describe(config, configType), [describe(layer, layerType)]);

test("an image is pushed in chunks and read again, with tokens that the registry's challenge asks for", async () => {
  const repository = repositoryOf("team/app");
  assert.equal(await repository.statBlob(digest(layer)), undefined);
  assert.equal(await repository.openBlob(digest(layer)), undefined);
  assert.equal(await repository.manifest(tag("v1")), undefined);
  assert.equal(await repository.statManifest(tag("v1")), undefined);
  assert.deepEqual([await push(repository, layer), await push(repository, config)], ["sent", "sent"]);
  await repository.putManifest(digest(manifest), imageManifestType, manifest, { tags: ["v1", "v2"] });
  assert.equal(await repository.statBlob(digest(layer)), layer.byteLength);
  const found = await repository.manifest(tag("v2"));
  assert.deepEqual([found?.digest, found?.mediaType], [digest(manifest), imageManifestType]);
  assert.deepEqual(found?.bytes, new Uint8Array(manifest));
  assert.deepEqual(await repository.statManifest(tag("v1")), {
    digest: digest(manifest),
    mediaType: imageManifestType,
    size: manifest.byteLength,
  });
  assert.deepEqual(await Array.fromAsync(repository.tags()), ["v1", "v2"]);
  const whole = await repository.openBlob(digest(layer));
  assert.deepEqual(new Uint8Array(await new Response(whole?.body).arrayBuffer()), new Uint8Array(layer));
  const part = await repository.openBlob(digest(layer), { range: { offset: 1024, length: 7 } });
  assert.equal(part?.size, 7);
  assert.deepEqual(
    Buffer.from(await new Response(part?.body).arrayBuffer()),
    Buffer.from(layer.subarray(1024, 1031)),
  );
  const rest = await repository.openBlob(digest(layer), { range: { offset: layer.byteLength - 3 } });
  assert.equal((await new Response(rest?.body).arrayBuffer()).byteLength, 3);
});

test("a blob of another repository is mounted, by a token for both", async () => {
  assert.equal(await push(repositoryOf("team/other"), layer, repositoryOf("team/app").name), "mounted");
});

test("what refers to a manifest is listed, by the registry or by the tag that stands for it", async () => {
  const repository = repositoryOf("team/app");
  const subject = describe(manifest, imageManifestType);
  const signature = imageIndex([], { subject, artifactType: "application/vnd.example.signature" });
  await repository.putManifest(digest(signature), imageIndexType, signature);
  const [found, ...others] = await repository.referrers(digest(manifest));
  assert.deepEqual(
    [found?.digest, found?.artifactType, others],
    [digest(signature), "application/vnd.example.signature", []],
  );
  assert.deepEqual(await repository.referrers(digest(signature)), []);

  const index = imageIndex([describe(signature, imageIndexType)]);
  const without = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    if (!path.endsWith(referrersTag(digest(manifest)))) return answer(response, 404, {}, { errors: [] });
    response.writeHead(200, { "Content-Type": imageIndexType }).end(index);
  });
  const fallback = new RemoteRepository(transportTo(without).transport, repository.name);
  assert.deepEqual(
    (await fallback.referrers(digest(manifest))).map((each) => each.digest),
    [digest(signature)],
  );
  assert.deepEqual(await fallback.referrers(digest(signature)), []);
});

const noLists: [what: string, answer: (response: ServerResponse, website: URL) => void][] = [
  ["as Artifactory did", (response) => answer(response, 406)],
  ["as one that knows no such request", (response) => answer(response, 501)],
  [
    "by its website, as GitHub's",
    (response, website) => answer(response, 303, { Location: `${website.href}packages` }),
  ],
  ["by a page", (response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<html>")],
  ["by other JSON", (response) => answer(response, 200, { "Content-Type": "application/json" }, {})],
];

for (const [what, refuse] of noLists) {
  test(`where a registry answers ${what}, the tag says what refers to a manifest`, async () => {
    const website = await fakeRegistry((_, response) => answer(response, 429));
    const referrer = describe(config, imageManifestType);
    const index = imageIndex([referrer]);
    const registry = await fakeRegistry(({ path }, response) => {
      if (path === "/v2/") return answer(response, 200);
      if (path.includes("/referrers/")) return refuse(response, website.url);
      response.writeHead(200, { "Content-Type": imageIndexType }).end(index);
    });
    const repository = new RemoteRepository(transportTo(registry).transport, "team/app" as RepositoryName);
    const found = await repository.referrers(digest(manifest));
    assert.deepEqual(
      found.map((each) => each.digest),
      [referrer.digest],
    );
    assert.deepEqual(website.seen, []);
  });
}

test("lists go on from page to page, and not to another host", async () => {
  const pages = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    const next = path.includes("last=b")
      ? {}
      : { Link: `</v2/team/app/tags/list?n=1000&last=b>; rel="next"` };
    const away = path.startsWith("/v2/away") ? { Link: '<https://evil.example.org/>; rel="next"' } : next;
    answer(response, 200, away, { tags: path.includes("last=b") ? null : ["a", "b"] });
  });
  const { transport } = transportTo(pages);
  const all = new RemoteRepository(transport, "team/app" as RepositoryName).tags();
  assert.deepEqual(await Array.fromAsync(all), ["a", "b"]);
  const away = new RemoteRepository(transport, "away" as RepositoryName).tags();
  await assert.rejects(Array.fromAsync(away), { kind: "redirected" });
});

test("a list whose pages lead back, or never end, is refused, and one that breaks off is not taken for whole", async () => {
  const listed = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    const { pathname, searchParams } = new URL(path, "http://registry");
    const page = Number(searchParams.get("page") ?? 0);
    const next = pathname.startsWith("/v2/circle/") ? (page + 1) % 3 : page + 1;
    if (pathname.startsWith("/v2/lost/") && page === 2) return answer(response, 404, {}, { errors: [] });
    // The address of the next page may stand after other parameters.
    const Link = `<?page=0>; rel="prev", <?n=1000&page=${next}>; title="more"; rel="next"`;
    answer(response, 200, { Link, "Content-Type": imageIndexType }, { tags: [`t${page}`], manifests: [] });
  });
  const { transport } = transportTo(listed);
  const of = (name: string) => new RemoteRepository(transport, name as RepositoryName);
  const endless = { kind: "foreign", message: /gives a list without an end$/ };
  await assert.rejects(Array.fromAsync(of("circle").tags()), endless);
  await assert.rejects(of("circle").referrers(digest(manifest)), endless);
  assert(listed.seen.length < 10);
  await assert.rejects(Array.fromAsync(of("lost").tags()), { status: 404 });
  await assert.rejects(of("lost").referrers(digest(manifest)), { status: 404 });
  let count = 0;
  const step = async (address: URL) => ({ page: count, next: new URL(String(count++), address) });
  const pages = followPages(new URL("http://registry/"), step, () => new Error("endless"));
  await assert.rejects(Array.fromAsync(pages), /endless/);
});

test("tokens that end while something is pushed are replaced", async () => {
  const repository = repositoryOf("team/long");
  const started = await repository.startUpload(digest(layer));
  assert.equal(await started?.session.send(layer.subarray(0, 1000)), undefined);
  await timed.advance(6000);
  assert.equal(await started?.session.send(layer.subarray(1000, 2000)), undefined);
  await timed.advance(400_000);
  const finished = await started?.session.finish(digest(layer), layer.subarray(2000));
  assert.equal(finished?.status, 201);
});

test("who is not let in, and who may not, is told so", async () => {
  const wrong = repositoryOf("team/app", { kind: "password", username: "admin", password: "something else" });
  await assert.rejects(wrong.manifest(tag("v1")), { kind: "refused", status: 401 });
  await assert.rejects(repositoryOf("team/app", "none").manifest(tag("v1")), {
    kind: "refused",
    status: 401,
  });
});

test("a client lists no tag of a manifest that it deleted", async () => {
  const repository = repositoryOf("team/app");
  await repository.deleteManifest(tag("v2"));
  assert.deepEqual(await Array.fromAsync(repository.tags()), ["v1"]);
  await assert.rejects(repository.deleteManifest(tag("v2")), { status: 404, code: "MANIFEST_UNKNOWN" });
});

test("a manifest that is not what was asked for is refused, as is one without an end", async () => {
  const liar = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    if (path.endsWith("/endless")) return response.end(Buffer.alloc(5 * 1024 * 1024)) && undefined;
    response.writeHead(200, { "Content-Type": imageManifestType }).end("{}");
  });
  const repository = new RemoteRepository(transportTo(liar).transport, "team/app" as RepositoryName);
  await assert.rejects(repository.manifest(digest(manifest)), { kind: "broken" });
  await assert.rejects(repository.manifest(tag("endless")), { kind: "foreign" });
  assert.equal(
    (await repository.manifest(tag("any")))?.digest,
    parseDigest(digestOfContent(Buffer.from("{}"), "sha256")),
  );
});

test("an answer to a range that is another one is refused", async () => {
  const odd = await fakeRegistry(({ path }, response) => {
    if (path === "/v2/") return answer(response, 200);
    response.writeHead(206, { "Content-Range": "bytes 0-4/100" }).end("01234");
  });
  const repository = new RemoteRepository(transportTo(odd).transport, "team/app" as RepositoryName);
  await assert.rejects(repository.openBlob(digest(layer) as Digest, { range: { offset: 5 } }), {
    kind: "foreign",
  });
});

test("what is no registry is said to be none", async () => {
  const page = await fakeRegistry((_, response) => {
    response.writeHead(404, { "Content-Type": "text/html" }).end("<html>not here</html>");
  });
  const repository = new RemoteRepository(transportTo(page).transport, "team/app" as RepositoryName, [
    "pull",
    "push",
  ]);
  await assert.rejects(push(repository, config), {
    kind: "foreign",
    status: 404,
    message: /does not answer as a registry/,
  });
  assert.equal(await text((await fetch(page.url)).body as never), "<html>not here</html>");
});
