import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { describe, digestOf, imageIndex } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();
const clients = Array.from({ length: 50 }, (_, index) => index);
const newIndex = (id: unknown) => imageIndex([], { annotations: { id: String(id) } });

async function tagsOf(repository: string): Promise<string[]> {
  return (await registry.must(200, "GET", `/v2/${repository}/tags/list`)).json<{ tags: string[] }>().tags;
}

async function resolve(repository: string, tag: string): Promise<string> {
  return (await registry.must(200, "HEAD", `/v2/${repository}/manifests/${tag}`)).header(
    "Docker-Content-Digest",
  );
}

test("of fifty clients that tag at once, every tag is found", async () => {
  await Promise.all(
    clients.map((id) => registry.pushManifest("tagged", `t${id}`, newIndex(id), imageIndexType)),
  );
  assert.deepEqual(await tagsOf("tagged"), clients.map((id) => `t${id}`).sort());
  const digests = await Promise.all(clients.map((id) => resolve("tagged", `t${id}`)));
  assert.deepEqual(
    digests,
    clients.map((id) => digestOf(newIndex(id))),
  );
});

test("of fifty clients that attach referrers at once, every one is listed", async () => {
  const digest = await registry.pushManifest("referred", "latest", newIndex("subject"), imageIndexType);
  const subject = describe(newIndex("subject"), imageIndexType);
  const attached = await Promise.all(
    clients.map((id) => {
      const referrer = imageIndex([], {
        artifactType: "application/x-note",
        subject,
        annotations: { id: `${id}` },
      });
      return registry.pushManifest("referred", digestOf(referrer), referrer, imageIndexType);
    }),
  );
  const listed = await registry.must(200, "GET", `/v2/referred/referrers/${digest}`);
  const digests = listed.json<{ manifests: { digest: string }[] }>().manifests.map((each) => each.digest);
  assert.deepEqual(digests.sort(), attached.sort());
});

test("of fifty clients that move one tag at once, one is last, for every reader", async () => {
  await Promise.all(
    clients.map((id) => registry.pushManifest("moved", "latest", newIndex(id), imageIndexType)),
  );
  const seen = new Set(await Promise.all(clients.map(() => resolve("moved", "latest"))));
  assert.equal(seen.size, 1);
  await registry.evict("Repository", "moved");
  assert(seen.has(await resolve("moved", "latest")));
  for (const id of clients) await registry.must(200, "HEAD", `/v2/moved/manifests/${digestOf(newIndex(id))}`);
});

test("a client that has been told of its push reads it, while others push and read", async () => {
  const rounds = [1, 2, 3, 4, 5];
  await Promise.all(
    clients.slice(0, 10).map(async (id) => {
      for (const round of rounds) {
        const manifest = newIndex(`${id}-${round}`);
        const digest = await registry.pushManifest("own", `t${id}`, manifest, imageIndexType);
        const others = clients
          .slice(0, 3)
          .map((other) => registry.send("HEAD", `/v2/own/manifests/t${other}`));
        assert.equal(await resolve("own", `t${id}`), digest);
        await Promise.all(others);
      }
    }),
  );
});

test("a reader never sees a tag go back", async () => {
  const manifests = clients.slice(0, 20).map((id) => newIndex(`forward-${id}`));
  const order = manifests.map((manifest) => digestOf(manifest));
  await registry.pushManifest("forward", "latest", manifests[0] ?? newIndex(0), imageIndexType);
  let isDone = false;
  const readers = [1, 2, 3].map(async () => {
    let newest = 0;
    while (!isDone) {
      const place = order.indexOf(await resolve("forward", "latest"));
      assert(place >= newest, `${place} after ${newest}`);
      newest = place;
    }
  });
  for (const manifest of manifests)
    await registry.pushManifest("forward", "latest", manifest, imageIndexType);
  isDone = true;
  await Promise.all(readers);
});

test("a new repository that fifty clients push to at once is one repository", async () => {
  const pushed = await Promise.all(clients.map((id) => registry.pushBlob("crowd", new Uint8Array([id]))));
  for (const digest of pushed) await registry.must(200, "HEAD", `/v2/crowd/blobs/${digest}`);
  const { repositories } = (await registry.must(200, "GET", "/v2/_catalog")).json<{
    repositories: string[];
  }>();
  assert.equal(repositories.filter((name) => name === "crowd").length, 1);
});
