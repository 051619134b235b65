/** Who may pull through a cache, under which name, and what callers without a right learn and cause. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { content, digestOf } from "../support/content.ts";
import { end, ScriptedUpstream } from "../support/upstream.ts";

const upstream = await ScriptedUpstream.start();
const entry = { url: upstream.url, private: true, insecure: true };
const hub = { ...entry, id: "hub", aliases: ["docker.io"] };
const open = {
  ...entry,
  id: "open",
  aliases: ["open.example"],
  visibility: "public",
  repositories: ["team/*"],
};
const UPSTREAMS = JSON.stringify([hub, open]);
const PUBLIC_URL = "https://registry.example.com";
const registry = await startClosedRegistry({ UPSTREAMS, PUBLIC_URL, OWN_NAMES: "mirror.example" });
const puller = await registry.account("puller", [{ repository: "hub/library/*", verbs: ["pull"] }]);
const other = await registry.account("other", [
  { repository: "other/**", verbs: ["pull", "push", "delete"] },
]);
const pusher = await registry.account("pusher", [{ repository: "hub/**", verbs: ["push"] }]);

const image = upstream.addImage("library/alpine", [2000], "v1");
const digest = digestOf(image.layers[0] ?? content());

const paths = ["manifests/v1", `manifests/${image.digest}`, `blobs/${digest}`, `blobs/${image.config}`];

/** Asserts that these callers get nothing of the private cache, and cause no question. */
async function assertNothing(): Promise<void> {
  upstream.forget();
  for (const method of ["GET", "HEAD"]) {
    for (const path of paths) {
      for (const name of ["hub/library/alpine", "hub/alpine"])
        await registry.must(401, method, `/v2/${name}/${path}`);
      await registry.must(403, method, `/v2/hub/library/alpine/${path}`, { as: other });
      await registry.must(403, method, `/v2/library/alpine/${path}?ns=docker.io`, { as: other });
      await registry.must(403, method, `/v2/hub/library/alpine/${path}`, { as: pusher });
      const bearer = await registry.as(other).bearer("repository:hub/library/alpine:pull");
      await registry.must(403, method, `/v2/hub/library/alpine/${path}`, { as: bearer });
    }
  }
  await registry.must(401, "GET", "/v2/hub/library/alpine/tags/list");
  const mount = `/v2/other/app/blobs/uploads/?mount=${digest}`;
  await registry.must(202, "POST", `${mount}&from=hub/library/alpine`, { as: other });
  await registry.must(202, "POST", `${mount}&from=hub/alpine`, { as: other });
  await registry.must(202, "POST", mount, { as: other });
  await registry.must(404, "GET", `/v2/other/app/blobs/${digest}`, { as: other });
  await registry.must(404, "GET", `/v2/other/app/blobs/${digest}`, { as: admin });
  const listed = await registry.must(200, "GET", "/api/v1/repositories?query=alpine", { as: other });
  assert.deepEqual(listed.json(), { repositories: [] });
  assert.equal(upstream.seen.length, 0);
}

test("callers without a right get nothing before and after it is cached, and cause no question", async () => {
  await assertNothing();
  for (const path of paths) await registry.must(200, "GET", `/v2/hub/library/alpine/${path}`, { as: puller });
  await assertNothing();
});

test("a challenge has the canonical name, and its token is for that", async () => {
  const answer = await registry.must(401, "GET", "/v2/alpine/manifests/v1?ns=docker.io");
  assert.match(answer.header("WWW-Authenticate"), /scope="repository:hub\/library\/alpine:pull"/);
  const token = await registry.as(puller).bearer("repository:hub/alpine:pull");
  await registry.must(200, "GET", "/v2/alpine/manifests/v1?ns=docker.io", { as: token });
  await registry.must(401, "GET", "/v2/hub/library/busybox/manifests/v1", { as: token });
});

describe("ns:", () => {
  test("an alias is the upstream, never what was pushed here under the same name", async () => {
    const own = await registry.as(admin).pushImage("library/alpine", "v1");
    const theirs = await registry.must(200, "GET", "/v2/library/alpine/manifests/v1?ns=docker.io", {
      as: admin,
    });
    assert.equal(digestOf(theirs.bytes), image.digest);
    const ours = await registry.must(200, "GET", "/v2/library/alpine/manifests/v1", { as: admin });
    assert.equal(digestOf(ours.bytes), own.digest);
  });

  test("a name of this registry is ignored", async () => {
    const host = new URL(registry.url).host;
    for (const ns of [host, "registry.example.com", "mirror.example", "MIRROR.example:443"]) {
      const answer = await registry.must(200, "GET", `/v2/library/alpine/manifests/v1?ns=${ns}`, {
        as: admin,
      });
      assert.notEqual(digestOf(answer.bytes), image.digest);
    }
  });

  test("anything else is nothing", async () => {
    for (const ns of ["ghcr.io", "hub", "", "docker.io/library", "docker.io:443"]) {
      await registry.must(404, "GET", `/v2/library/alpine/manifests/v1?ns=${ns}`, { as: admin });
      await registry.must(404, "HEAD", `/v2/library/alpine/blobs/${digest}?ns=${ns}`, { as: admin });
      await registry.must(405, "POST", `/v2/library/alpine/blobs/uploads/?ns=${ns}`, { as: admin });
    }
  });

  test("a path of the upstream may say it again", async () => {
    await registry.must(200, "GET", "/v2/hub/library/alpine/manifests/v1?ns=docker.io", { as: puller });
  });
});

test("what is not here is never looked for elsewhere", async () => {
  upstream.forget();
  upstream.addImage("team/mine", [10], "v1");
  await registry.must(404, "GET", "/v2/team/mine/manifests/v1", { as: admin });
  assert.equal(upstream.seen.length, 0);
});

test("of a public upstream everybody pulls what its patterns allow", async () => {
  upstream.addImage("team/app", [10], "v1");
  upstream.addImage("secret/app", [10], "v1");
  const token = await registry.bearer("repository:open/team/app:pull");
  await registry.must(200, "GET", "/v2/open/team/app/manifests/v1", { as: token });
  upstream.forget();
  await registry.must(401, "GET", "/v2/open/secret/app/manifests/v1");
  assert.equal(upstream.seen.length, 0);
  const listed = await registry.must(200, "GET", "/api/v1/repositories?query=open/", { as: other });
  const { repositories } = listed.json<{ repositories: { name: string; visibility: string }[] }>();
  assert.deepEqual(
    repositories.map(({ name, visibility }) => [name, visibility]),
    [["open/team/app", "public"]],
  );
});

test("who may pull a cache is not set on the repository, but what it is for", async () => {
  const path = "/api/v1/repositories/open/team/app";
  await registry.must(405, "PATCH", path, { as: admin, json: { visibility: "private" } });
  const changed = await registry.must(200, "PATCH", path, { as: admin, json: { description: "their app" } });
  const { visibility, cached } = changed.json<{ visibility: string; cached: string }>();
  assert.deepEqual([visibility, cached], ["public", "upstream"]);
});

test("the upstream's challenge is not passed on", async () => {
  upstream.script("GET", /manifests/, (_, response) =>
    end(response, 401, { "WWW-Authenticate": 'Basic realm="secret place"' }),
  );
  const answer = await registry.must(404, "GET", "/v2/hub/library/nothing/manifests/v1", { as: puller });
  assert.equal(answer.headers.get("WWW-Authenticate"), null);
});

test("repositories that were pushed before stay as they are, and take no more pushes", async () => {
  const name = "later/team/app";
  const pushed = await registry.as(admin).pushImage(name, "v1");
  await registry.setVisibility(name, "public");
  await registry.deployWith("UPSTREAMS", JSON.stringify([hub, open, { ...entry, id: "later" }]));
  upstream.forget();
  const answer = await registry.must(200, "GET", `/v2/${name}/manifests/v1`, { as: admin });
  assert.equal(digestOf(answer.bytes), pushed.digest);
  await registry.must(404, "GET", `/v2/${name}/manifests/v2`, { as: admin });
  await registry.must(404, "GET", `/v2/${name}/blobs/${digestOf(content())}`, { as: admin });
  await registry.must(409, "POST", `/v2/${name}/blobs/uploads/`, { as: admin });
  assert.equal(upstream.seen.length, 0);
  const checked = await registry.must(200, "GET", "/api/v1/upstreams/later", { as: admin });
  assert.deepEqual(checked.json<{ reserved: string[] }>().reserved, [name]);
  const token = await registry.bearer(`repository:${name}:pull`);
  await registry.must(200, "GET", `/v2/${name}/manifests/v1`, { as: token });
});

test("what an upstream that was removed left is private, read-only, and deletable", async () => {
  await registry.deployWith("UPSTREAMS", JSON.stringify([hub]));
  const path = "/v2/open/team/app/manifests/v1";
  await registry.must(200, "GET", path, { as: admin });
  await registry.must(401, "GET", path);
  await registry.must(403, "GET", path, { as: other });
  const { cached } = (
    await registry.must(200, "GET", "/api/v1/repositories/open/team/app", { as: admin })
  ).json<{ cached: string }>();
  assert.equal(cached, "orphaned");
  const bytes = content();
  const pushed = `/v2/open/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
  await registry.must(405, "POST", pushed, { as: admin, body: bytes });
  const tagged = { body: image.manifest, headers: { "Content-Type": imageManifestType } };
  await registry.must(405, "PUT", "/v2/open/team/app/manifests/v2", { as: admin, ...tagged });
  await registry.must(202, "DELETE", "/api/v1/repositories/open/team/app", { as: admin });
});
