/** When a tag of an upstream is asked for again, and what is served while the upstream does not answer. */
import assert from "node:assert/strict";
import test, { afterEach } from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { digestOf } from "../support/content.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";
import { end, ScriptedUpstream } from "../support/upstream.ts";

const upstream = await ScriptedUpstream.start();
const UPSTREAMS = upstream.settings({ staleFor: "1h" });
const keeping = await startTimedRegistry({ vars: { UPSTREAMS } });
const deleting = await startTimedRegistry({ vars: { UPSTREAMS: upstream.settings({ onGone: "delete" }) } });
const { registry, advance } = keeping;

const ttlMs = 60_000;
const down = (_: unknown, response: Parameters<typeof end>[0]) => end(response, 503);

let count = 0;

/** A repository of its own for a test, with an image that was pulled by its tag. */
async function pulled(from = registry) {
  const name = `team/app${++count}`;
  const image = upstream.addImage(name, [100], "v1");
  await from.must(200, "GET", `/v2/up/${name}/manifests/v1`);
  upstream.forget();
  const pull = (reference = "v1") => from.send("GET", `/v2/up/${name}/manifests/${reference}`);
  return { name, image, pull };
}

afterEach(async () => {
  upstream.unscript();
  // The upstream is asked again, whatever a test made of it.
  await advance(2 * ttlMs);
});

test("a fresh tag asks nothing, an old one asks by HEAD and is fresh again", async () => {
  const { pull } = await pulled();
  assert.equal((await pull()).status, 200);
  assert.equal(upstream.seen.length, 0);
  await advance(ttlMs);
  for (let round = 0; round < 2; round++) assert.equal((await pull()).status, 200);
  assert.deepEqual(
    upstream.seen.map(({ method }) => method),
    ["HEAD"],
  );
});

test("a tag that moved is fetched by its digest, and the old manifest stays", async () => {
  const { name, image, pull } = await pulled();
  const moved = upstream.addImage(name, [200], "v1");
  await advance(ttlMs);
  assert.equal(digestOf((await pull()).bytes), moved.digest);
  assert.equal(upstream.count("GET", new RegExp(`manifests/${moved.digest}`)), 1);
  assert.equal((await pull(image.digest)).status, 200);
});

test("a tag that moves back to what is here fetches nothing", async () => {
  const { name, image, pull } = await pulled();
  upstream.addImage(name, [200], "v1");
  await advance(ttlMs);
  await pull();
  upstream.addManifest(name, image.manifest, imageManifestType, "v1");
  await advance(ttlMs);
  upstream.forget();
  assert.equal(digestOf((await pull()).bytes), image.digest);
  assert.equal(upstream.count("GET", /./), 0);
});

test("a tag that moves between HEAD and GET is what it is in the end", async () => {
  const { name, pull } = await pulled();
  const first = upstream.addImage(name, [200], "v1");
  await advance(ttlMs);
  const second = upstream.addImage(name, [300]);
  upstream.script("GET", new RegExp(`manifests/${first.digest}`), (_, response) => {
    upstream.addManifest(name, second.manifest, imageManifestType, "v1");
    end(response, 404);
  });
  assert.equal(digestOf((await pull()).bytes), second.digest);
});

test("an upstream without HEAD is asked by GET", async () => {
  const { pull } = await pulled();
  upstream.script("HEAD", /manifests/, (_, response) => end(response, 405));
  await advance(ttlMs);
  const answer = await pull();
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("Warning"), null);
  assert.equal(upstream.count("GET", /manifests/), 1);
});

test("while the upstream fails, a tag is served with a warning, then no more; a digest always", async () => {
  const { image, pull } = await pulled();
  upstream.script("HEAD", /manifests/, down, 1000);
  await advance(ttlMs);
  const stale = await pull();
  assert.equal(stale.status, 200);
  assert.match(stale.header("Warning"), /^110 /);
  await advance(3_600_000);
  const late = await pull();
  assert.equal(late.status, 503);
  assert.match(late.header("Retry-After"), /^\d+$/);
  assert.equal((await pull(image.digest)).status, 200);
});

test("an upstream that hangs is given up, and then left alone for a while", async () => {
  const impatient = await startTimedRegistry({ vars: { UPSTREAMS, UPSTREAM_TIMEOUT: "500ms" } });
  const { pull } = await pulled(impatient.registry);
  upstream.script("HEAD", /manifests/, () => {}, 1000);
  await impatient.advance(ttlMs);
  for (let round = 0; round < 3; round++) assert.match((await pull()).header("Warning"), /^110 /);
  const asked = upstream.count("HEAD", /./);
  assert.match((await pull()).header("Warning"), /^110 /);
  assert.equal(upstream.count("HEAD", /./), asked);
  upstream.unscript();
  await impatient.advance(6_000);
  assert.equal((await pull()).headers.get("Warning"), null);
});

test("an upstream that was asked too often is left alone as long as it says", async () => {
  const { name, pull } = await pulled();
  upstream.script("HEAD", /manifests/, (_, response) => end(response, 429, { "Retry-After": "100" }));
  await advance(ttlMs);
  assert.match((await pull()).header("Warning"), /^110 /);
  const other = await registry.send("GET", `/v2/up/${name}/manifests/v2`);
  assert.equal(other.status, 429);
  assert.equal(other.header("Retry-After"), "100");
  assert.equal(upstream.seen.length, 1);
  await advance(100_000);
  assert.equal((await pull()).headers.get("Warning"), null);
});

test("who is denied by the upstream gets what is here, and nothing else", async () => {
  const { name, pull } = await pulled();
  upstream.script("HEAD", /manifests/, (_, response) => end(response, 403));
  upstream.script("GET", /manifests/, (_, response) =>
    end(response, 401, { "WWW-Authenticate": 'Basic realm="up"' }),
  );
  await advance(ttlMs);
  assert.match((await pull()).header("Warning"), /^110 /);
  const other = await registry.send("GET", `/v2/up/${name}/manifests/v2`);
  assert.equal(other.status, 404);
  assert.equal(other.headers.get("WWW-Authenticate"), null);
});

test("a tag that is gone is kept with a warning", async () => {
  const { name, pull } = await pulled();
  upstream.remove(name, "v1");
  await advance(ttlMs);
  assert.match((await pull()).header("Warning"), /^110 /);
});

test("or deleted, if that is set", async () => {
  const { name, image, pull } = await pulled(deleting.registry);
  upstream.remove(name, "v1");
  await deleting.advance(ttlMs);
  assert.equal((await pull()).status, 404);
  assert.equal((await pull(image.digest)).status, 200);
});

test("a tag that was deleted by hand during a question is not brought back by its answer", async () => {
  const { name, pull } = await pulled();
  upstream.addImage(name, [200], "v1");
  await advance(ttlMs);
  const asked = Promise.withResolvers<() => void>();
  upstream.script("HEAD", /manifests/, (_, response) => {
    const moved = upstream.addImage(name, [300], "v1");
    asked.resolve(() => end(response, 200, { "Docker-Content-Digest": moved.digest }));
  });
  const pulling = pull();
  const answer = await asked.promise;
  await registry.must(202, "DELETE", `/v2/up/${name}/manifests/v1`);
  answer();
  // The client gets what the upstream has.
  assert.equal((await pulling).status, 200);
  const { tags } = (await registry.must(200, "GET", `/v2/up/${name}/tags/list`)).json<{ tags: string[] }>();
  assert.deepEqual(tags, []);
});

test("a repository that was deleted during a question does not come back by its answer", async () => {
  const { name } = await pulled();
  const image = upstream.addImage(name, [200]);
  const asked = Promise.withResolvers<() => void>();
  upstream.script("GET", new RegExp(image.digest), (_, response) => {
    asked.resolve(() => end(response, 200, { "Content-Type": imageManifestType }, image.manifest));
  });
  const pulling = registry.send("GET", `/v2/up/${name}/manifests/${image.digest}`);
  const answer = await asked.promise;
  await registry.must(202, "DELETE", `/api/v1/repositories/up/${name}`);
  answer();
  assert.equal((await pulling).status, 200);
  await registry.must(404, "GET", `/v2/up/${name}/tags/list`);
});
