/** What administrators see and do about upstreams, and the bounds of what is cached. */
import assert from "node:assert/strict";
import test from "node:test";
import { content, digestOf, mebibyte } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";
import { end, ScriptedUpstream } from "../support/upstream.ts";

const dayMs = 86_400_000;
const upstream = await ScriptedUpstream.start();
const bounded = await ScriptedUpstream.start();
const { registry, advance, runAlarm } = await startTimedRegistry({
  vars: {
    UPSTREAMS: JSON.stringify([
      ...JSON.parse(upstream.settings({ keepFor: "3d" })),
      ...JSON.parse(bounded.settings({ id: "small", aliases: [], maxBytes: "10MiB" })),
      { id: "off", url: upstream.url, private: true, insecure: true, offline: true },
    ]),
  },
});

const get = async <T>(path: string) =>
  (await registry.must(200, "GET", `/api/v1/upstreams${path}`)).json<T>();
const post = async <T>(path: string, json: object = {}) =>
  (await registry.must(200, "POST", `/api/v1/upstreams${path}`, { json })).json<T>();

type Details = {
  state: string;
  fetches: number;
  cached: number;
  reserved: string[];
  lastFailure?: { detail: string };
};
type Evicted = { manifests: number; blobs: number; bytes: number };

let count = 0;

/** Pulls an image of one layer; returns its paths here. */
async function pulled(from: ScriptedUpstream, id: string, sizeBytes = 1000) {
  const name = `team/app${++count}`;
  const image = from.addImage(name, [sizeBytes], "v1");
  const blob = `/v2/${id}/${name}/blobs/${digestOf(image.layers[0] ?? new Uint8Array())}`;
  const manifest = `/v2/${id}/${name}/manifests/${image.digest}`;
  await registry.must(200, "GET", `/v2/${id}/${name}/manifests/v1`);
  await registry.must(200, "GET", blob);
  return { name, image, blob, manifest };
}

/** Whether a path is here: its upstream has nothing any more. */
async function isHere(from: ScriptedUpstream, path: string): Promise<boolean> {
  // Isolates remember for half a minute what is where.
  await advance(60_000);
  from.script("GET", /./, (_, response) => end(response, 404));
  const { status } = await registry.send("GET", path);
  from.unscript();
  return status === 200;
}

test("upstreams are listed, and shown with their state", async () => {
  const { upstreams } = await get<{ upstreams: { id: string; state: string; hasCredential: boolean }[] }>("");
  assert.deepEqual(
    upstreams.map(({ id, state, hasCredential }) => [id, state, hasCredential]),
    [
      ["up", "up", false],
      ["small", "up", false],
      ["off", "offline", false],
    ],
  );
  upstream.script("GET", /manifests/, (_, response) => end(response, 503), 6);
  for (const tag of ["a", "b", "c"]) await registry.must(503, "GET", `/v2/up/team/app/manifests/${tag}`);
  const shown = await get<Details>("/up");
  assert.equal(shown.state, "down");
  assert.match(shown.lastFailure?.detail ?? "", /503/);
  await registry.must(404, "GET", "/api/v1/upstreams/none");
});

test("a check asks although the upstream failed, and ends that it is left alone", async () => {
  upstream.unscript();
  const checked = await post<{ reachable: boolean; reserved: string[] }>("/up/check");
  assert.equal(checked.reachable, true);
  assert.equal((await get<Details>("/up")).state, "up");
  upstream.script("GET", /tags\/list/, (_, response) => end(response, 404));
  const missing = await post<{ reachable: boolean; detail: string }>("/up/check", {
    repository: "team/none",
  });
  assert.deepEqual([missing.reachable, missing.detail], [false, "status 404"]);
});

test("a fetch has a place among those of its upstream until it has ended", async () => {
  const { path, letGo } = heldBlob();
  const pull = registry.must(200, "GET", path);
  await until("the fetch", async () => (await get<Details>("/up")).fetches === 1);
  letGo();
  await pull;
  await until("its end", async () => (await get<Details>("/up")).fetches === 0);
});

/** A blob that the upstream sends when it is let go. */
function heldBlob() {
  const name = `team/app${++count}`;
  const bytes = content(1000);
  const digest = upstream.addBlob(name, bytes);
  const held = Promise.withResolvers<void>();
  upstream.script("GET", new RegExp(digest), async (_, response) => {
    await held.promise;
    end(response, 200, {}, bytes);
  });
  return { path: `/v2/up/${name}/blobs/${digest}`, letGo: held.resolve };
}

test("an eviction by hand removes what one repository, or all, have", async () => {
  const [one, other] = [await pulled(upstream, "up"), await pulled(upstream, "up")];
  const unused = await post<Evicted>("/up/evict", { unusedDays: 1 });
  assert.equal(unused.manifests, 0);
  const evicted = await post<Evicted>("/up/evict", { repository: one.name });
  assert.equal(evicted.manifests, 1);
  assert.equal(evicted.blobs, 1);
  assert(evicted.bytes > 1000);
  assert.equal(await isHere(upstream, one.manifest), false);
  assert.equal(await isHere(upstream, other.manifest), true);
  await post<Evicted>("/up/evict");
  assert.equal(await isHere(upstream, other.manifest), false);
});

test("what nobody used for keepFor goes, and what was used stays", async () => {
  await advance(120_000);
  const [old, used] = [await pulled(upstream, "up"), await pulled(upstream, "up")];
  await advance(2 * dayMs);
  await registry.must(200, "GET", used.manifest);
  await advance(2 * dayMs);
  await runAlarm("UPSTREAM_STATES", "up");
  assert.equal(await isHere(upstream, old.manifest), false);
  assert.equal(await isHere(upstream, used.manifest), true);
  await runAlarm("LEDGERS", `up/${old.name}`);
  assert.equal(await isHere(upstream, old.blob), false);
  assert.equal(await isHere(upstream, used.blob), true);
});

test("above maxBytes what was not used for longest goes, until the rest fits", async () => {
  const images = [];
  for (let index = 0; index < 4; index++) {
    images.push(await pulled(bounded, "small", 4 * mebibyte));
    await advance(dayMs);
  }
  const [first, second, third, last] = images;
  assert(first !== undefined && second !== undefined && third !== undefined && last !== undefined);
  await registry.must(200, "GET", first.manifest);
  await advance(dayMs);
  await runAlarm("UPSTREAM_STATES", "small");
  const here = [];
  for (const { manifest } of [first, second, third, last]) here.push(await isHere(bounded, manifest));
  assert.deepEqual(here, [true, false, false, true]);
});

test("an upstream that is offline is never asked, and what is here is served", async () => {
  upstream.forget();
  await registry.must(404, "GET", "/v2/off/team/app/manifests/v1");
  await registry.must(404, "GET", `/v2/off/team/app/blobs/${digestOf(new Uint8Array(3))}`);
  assert.equal(upstream.seen.length, 0);
});

test("a scrub finds nothing wrong with what was pulled in part, and a deleted manifest of it is restored", async () => {
  const name = `team/app${++count}`;
  const images = [upstream.addImage(name), upstream.addImage(name)];
  const index = upstream.addIndex(name, images, "v1");
  await registry.must(200, "GET", `/v2/up/${name}/manifests/v1`);
  await registry.must(200, "GET", `/v2/up/${name}/manifests/${images[0]?.digest}`);
  const { problems } = await scrubbed();
  assert.deepEqual(
    problems.filter(({ repository }) => repository === `up/${name}`),
    [],
  );
  await registry.must(202, "DELETE", `/v2/up/${name}/manifests/${index}`);
  const restored = await registry.must(
    200,
    "POST",
    `/api/v1/repositories/up/${name}/manifests/${index}/restore`,
  );
  assert.deepEqual(restored.json<{ tags: string[] }>().tags, ["v1"]);
});

/** The problems that a scrub of everything finds. */
async function scrubbed(): Promise<{ problems: { repository?: string; detail?: string }[] }> {
  const problems: { repository?: string; detail?: string }[] = [];
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const json = cursor === undefined ? {} : { cursor };
    const answer = await registry.must(200, "POST", "/api/v1/scrub", { json });
    const page = answer.json<{ problems: typeof problems; cursor?: string }>();
    problems.push(...page.problems);
    ({ cursor } = page);
  }
  return { problems };
}
