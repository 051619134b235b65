/** What the registry counts, who may read it, and whether it says that it is well. */
import assert from "node:assert/strict";
import test from "node:test";
import { version } from "../../src/version.ts";
import { expectProblem } from "../support/answer.ts";
import { basic, Client, type Credential, type RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { content, digestOf, streamOf } from "../support/content.ts";
import { parseMetrics, type Scraped, seriesValue } from "../support/scrape.ts";

const metricsToken = "scrape-0123456789abcdef";
const registry = await startClosedRegistry({ METRICS_TOKEN: metricsToken });
registry.secrets.add(metricsToken);
const builder = await registry.account("builder", [{ repository: "team/**", verbs: ["pull", "push"] }]);

async function scrape(as: Credential = admin): Promise<Scraped> {
  const answer = await registry.must(200, "GET", "/metrics", { as });
  assert.equal(answer.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  return parseMetrics(answer.text);
}

/** The buckets of a histogram's series, in their order, and its count. */
function histogram({ text }: Scraped, name: string, labels: string): { buckets: number[]; count: number } {
  const values = (start: string) =>
    text
      .split("\n")
      .filter((line) => line.startsWith(start))
      .map((line) => Number(line.slice(line.lastIndexOf(" "))));
  return {
    buckets: values(`${name}_bucket{${labels},le=`),
    count: values(`${name}_count{${labels}}`)[0] ?? 0,
  };
}

test("administrators and the scraper's token read the metrics, and nobody else", async () => {
  await scrape();
  await scrape(metricsToken);
  const cases: [RequestOptions, number][] = [
    [{}, 401],
    [{ as: "another-0123456789abcde" }, 401],
    [{ as: { name: "admin", password: "wrong" } }, 401],
    [{ as: { name: "metrics", password: metricsToken } }, 401],
    [{ as: await registry.as(admin).bearer("repository:team/app:pull") }, 401],
    [{ as: builder }, 403],
  ];
  for (const [options, status] of cases) {
    assert.equal((await registry.send("GET", "/metrics", options)).status, status, JSON.stringify(options));
  }
});

test("the release that runs is a metric", async () => {
  assert.equal(seriesValue(await scrape(), "stowage_build_info", { version }), 1);
});

test("the scraper's token opens nothing but the metrics", async () => {
  await registry.as(builder).pushImage("team/other", "v1");
  for (const path of ["/v2/", "/v2/_catalog", "/v2/team/other/manifests/v1", "/api/v1/accounts"]) {
    assert.equal((await registry.send("GET", path, { as: metricsToken })).status, 401, path);
  }
});

test("requests, their bytes, durations, cache look-ups and pulls are counted exactly", async () => {
  const { digest, manifest, config } = await registry.as(builder).pushImage("team/app", "v1");
  const before = await scrape();
  for (let pull = 0; pull < 3; pull++)
    await registry.must(200, "GET", "/v2/team/app/manifests/v1", { as: builder });
  await registry.must(200, "GET", `/v2/team/app/manifests/${digest}`, { as: builder });
  await registry.must(200, "HEAD", "/v2/team/app/manifests/v1", { as: builder });
  await registry.must(404, "GET", "/v2/team/app/manifests/v2", { as: builder });
  await registry.must(200, "GET", `/v2/team/app/blobs/${config}`, { as: builder });
  await registry.must(405, "PATCH", "/v2/team/app/tags/list", { as: builder });
  const after = await scrape();
  const grown = (name: string, labels: Record<string, string>) =>
    seriesValue(after, name, labels) - seriesValue(before, name, labels);
  const get = { route: "manifest", method: "GET" };
  assert.equal(grown("stowage_requests_total", { ...get, status: "200" }), 4);
  assert.equal(grown("stowage_requests_total", { ...get, status: "404" }), 1);
  assert.equal(grown("stowage_requests_total", { route: "manifest", method: "HEAD", status: "200" }), 1);
  assert.equal(grown("stowage_requests_total", { route: "tags", method: "PATCH", status: "405" }), 1);
  const [earlier, later] = [before, after].map((scraped) =>
    histogram(scraped, "stowage_request_duration_seconds", 'route="manifest",method="GET"'),
  );
  assert.equal((later?.count ?? 0) - (earlier?.count ?? 0), 5);
  assert.equal(later?.buckets.at(-1), later?.count);
  assert.deepEqual(
    later?.buckets,
    later?.buckets.toSorted((one, other) => one - other),
  );
  assert.equal(grown("stowage_manifest_pulls_total", { repository: "team/app" }), 4);
  assert(grown("stowage_response_bytes_total", { route: "manifest" }) >= 4 * manifest.byteLength);
  assert.equal(grown("stowage_cache_lookups_total", { cache: "manifests", outcome: "hit" }), 3);
  assert.equal(grown("stowage_cache_lookups_total", { cache: "manifests", outcome: "miss" }), 1);
  assert.equal(grown("stowage_cache_lookups_total", { cache: "blobs", outcome: "miss" }), 1);
});

test("bytes of bodies without a length are counted as they come, and an upload as long as it is open", async () => {
  const bytes = content(300_000);
  const state = async () => {
    const scraped = await scrape();
    const received = seriesValue(scraped, "stowage_request_bytes_total", { route: "upload" });
    return { received, open: seriesValue(scraped, "stowage_uploads_open") };
  };
  const before = await state();
  const location = (await registry.must(202, "POST", "/v2/team/app/blobs/uploads/", { as: builder })).header(
    "Location",
  );
  assert.deepEqual(
    await state(),
    before,
    "a session costs nothing and counts for nothing before its first byte",
  );
  const patch = (body: Uint8Array, status: number) =>
    new Client(registry.url).must(status, "PATCH", location, {
      body: streamOf(body),
      headers: { Authorization: basic(builder.name, builder.password) },
    });
  const next = (await patch(bytes.subarray(0, 200_000), 202)).header("Location");
  assert.deepEqual(await state(), { received: before.received + 200_000, open: before.open + 1 });
  await registry.must(201, "PUT", `${next}?digest=${digestOf(bytes)}`, {
    as: builder,
    body: bytes.subarray(200_000),
  });
  assert.deepEqual(await state(), { received: before.received + 300_000, open: before.open });
});

test("made-up methods and paths make no series of their own", async () => {
  for (const method of ["PROPFIND", "REPORT"]) await registry.send(method, "/nowhere/at/all", { as: admin });
  const after = await scrape();
  assert.equal(seriesValue(after, "stowage_requests_total", { route: "none", method: "other" }), 2);
  assert(
    !(after.metrics.get("stowage_requests_total") ?? []).some(({ labels }) => labels?.method === "PROPFIND"),
  );
});

test("the API says how often repositories and tags are pulled", async () => {
  await registry.as(builder).pushImage("team/popular", "latest");
  await registry.as(builder).pushImage("team/popular", "old");
  for (let pull = 0; pull < 2; pull++)
    await registry.must(200, "GET", "/v2/team/popular/manifests/latest", { as: builder });
  await registry.must(200, "GET", "/v2/team/popular/manifests/old", { as: builder });
  await scrape();
  const answer = await registry.must(200, "GET", "/api/v1/repositories/team/popular", { as: builder });
  const { pulls, lastPulledAt, tagPulls } = answer.json<{
    pulls: number;
    lastPulledAt: string;
    tagPulls: { tag: string; pulls: number; lastPulledAt: string }[];
  }>();
  assert.equal(pulls, 3);
  assert.match(lastPulledAt, /^\d{4}-/);
  assert.deepEqual(
    tagPulls.map((entry) => [entry.tag, entry.pulls]),
    [
      ["latest", 2],
      ["old", 1],
    ],
  );
  const search = await registry.must(200, "GET", "/api/v1/repositories?query=popular", { as: admin });
  assert.deepEqual(
    search.json<{ repositories: { name: string; pulls: number }[] }>().repositories.map((one) => one.pulls),
    [3],
  );
  // Settings do not take the counts away, and a deleted repository takes its own with it.
  await registry.setVisibility("team/popular", "public");
  const changed = await registry.must(200, "GET", "/api/v1/repositories/team/popular", { as: admin });
  assert.equal(changed.json<{ pulls: number }>().pulls, 3);
  // That there was another tag is not for everybody.
  await registry.must(202, "DELETE", "/v2/team/popular/manifests/old", { as: admin });
  const tagsFor = async (as?: Credential) => {
    const { text } = await registry.must(200, "GET", "/api/v1/repositories/team/popular", { as });
    return (JSON.parse(text) as { tagPulls: { tag: string }[] }).tagPulls.map(({ tag }) => tag);
  };
  assert.deepEqual([await tagsFor(), await tagsFor(builder)], [["latest"], ["latest", "old"]]);
});

test("a repository that one may not pull is not told from one that is not there", async () => {
  await registry.as(admin).pushImage("secret/app", "v1");
  for (const name of ["secret/app", "secret/nothing"]) {
    expectProblem(await registry.send("GET", `/api/v1/repositories/${name}`, { as: builder }), 403, "DENIED");
  }
  expectProblem(
    await registry.send("GET", "/api/v1/repositories/not/there", { as: admin }),
    404,
    "NAME_UNKNOWN",
  );
});

test("anybody may ask whether it lives and whether all its parts answer", async () => {
  const lives = await registry.must(200, "GET", "/healthz");
  assert.deepEqual(lives.json(), { status: "ok", version });
  const ready = await registry.must(200, "GET", "/readyz");
  const { status, checks } = ready.json<{ status: string; checks: Record<string, unknown>[] }>();
  assert.equal(status, "ok");
  assert.deepEqual(
    checks.map(({ part, ok }) => [part, ok]),
    [
      "replica",
      "bucket",
      "catalog",
      "names",
      "repository",
      "blobs",
      "upload",
      "webhooks",
      "webhook queue",
    ].map((part) => [part, true]),
  );
  for (const { milliseconds } of checks) assert.equal(typeof milliseconds, "number");
  // The next one who asks is answered from memory.
  await registry.takeCalls();
  await registry.must(200, "GET", "/readyz");
  assert.deepEqual(await registry.takeCalls(), {});
  await registry.must(405, "POST", "/healthz");
});
