/** `/api/v1/repositories`, field by field. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { expectError, expectProblem } from "../support/answer.ts";
import type { RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { content, digestOf } from "../support/content.ts";

const registry = await startClosedRegistry();

const api = (method: string, path: string, options: RequestOptions = {}) =>
  registry.send(method, `/api/v1${path}`, { as: admin, ...options });

describe("repositories", () => {
  test("are described and searched", async () => {
    await registry.as(admin).pushImage("search/one", "v1");
    await registry.as(admin).pushImage("search/two", "v1");
    const json = { visibility: "public", description: "The <b>FINEST</b> 'app' %_" };
    const changed = await api("PATCH", "/repositories/search/one", { json });
    assert.deepEqual([changed.status, changed.json()], [200, { name: "search/one", ...json }]);
    const search = async (query: string) => {
      const answer = await api("GET", `/repositories?${new URLSearchParams({ query })}`);
      return answer.json<{ repositories: { name: string }[] }>().repositories.map(({ name }) => name);
    };
    assert.deepEqual(await search("search/"), ["search/one", "search/two"]);
    assert.deepEqual(await search("finest"), ["search/one"]);
    assert.deepEqual(await search("'app' %_"), ["search/one"]);
    assert.deepEqual(await search("%"), ["search/one"]);
    assert.deepEqual(await search("' OR 1=1 --"), []);
    const page = await api("GET", "/repositories?query=search&n=1");
    assert.deepEqual(page.json<{ repositories: unknown[] }>().repositories, [
      { name: "search/one", ...json, pulls: 0 },
    ]);
    assert.equal(
      page.header("Link"),
      '</api/v1/repositories?query=search&n=1&last=search%2Fone>; rel="next"',
    );
  });

  test("have a README, which goes and comes back with them", async () => {
    await registry.as(admin).pushImage("readme/app", "v1");
    const path = "/repositories/readme/app";
    const readmeNow = async () => (await api("GET", path)).json<{ readme: string }>().readme;
    assert.equal(await readmeNow(), "");
    const readme = `# App\n${"ä".repeat(65_000)}`;
    assert.equal((await api("PATCH", path, { json: { readme } })).status, 200);
    assert.equal((await api("PATCH", path, { json: { description: "The app" } })).status, 200);
    assert.equal(await readmeNow(), readme);
    const audit = await api("GET", "/audit?n=10");
    assert.match(audit.text, /readmeLength/);
    assert(!audit.text.includes("äää"));
    assert.equal((await api("DELETE", path)).status, 202);
    await registry.as(admin).pushImage("readme/app", "v2");
    assert.equal(await readmeNow(), "");
    assert.equal((await api("POST", `${path}/restore`)).status, 200);
    assert.equal(await readmeNow(), readme);
    assert.equal((await api("PATCH", path, { json: { readme: "" } })).status, 200);
    assert.equal(await readmeNow(), "");
  });

  test("are called what they are called, also by a number", async () => {
    for (const name of ["2024", "0123", "1e5"]) {
      await registry.as(admin).pushImage(name, "v1");
      const json = { visibility: "public", description: "007" };
      const changed = await api("PATCH", `/repositories/${name}`, { json });
      assert.deepEqual([changed.status, changed.json()], [200, { name, ...json }]);
    }
    const { repositories } = (await api("GET", "/repositories?query=007")).json<{
      repositories: { name: string }[];
    }>();
    assert.deepEqual(
      repositories.map(({ name }) => name),
      ["0123", "1e5", "2024"],
    );
  });

  const bodies: [string, unknown][] = [
    ["another visibility", { visibility: "secret" }],
    ["a visibility that is null", { visibility: null }],
    ["a long description", { description: "a".repeat(1001) }],
    ["a description that is a number", { description: 1 }],
    ["a long README", { readme: "a".repeat(65_537) }],
    ["another field", { name: "search/three" }],
  ];
  for (const [what, json] of bodies) {
    test(`are not changed by ${what}`, async () => {
      expectProblem(await api("PATCH", "/repositories/search/one", { json }), 400, "REQUEST_INVALID");
    });
  }

  test("that are not there are not found, or no names", async () => {
    const unknown = await api("PATCH", "/repositories/not/there", { json: {} });
    assert.equal(expectProblem(unknown, 404, "NAME_UNKNOWN"), "repository: not/there");
    assert.equal(unknown.json<{ repository: string }>().repository, "not/there");
    expectProblem(await api("DELETE", "/repositories/not/there"), 404, "NAME_UNKNOWN");
    expectProblem(await api("DELETE", "/repositories/Not/There"), 400, "NAME_INVALID");
    expectProblem(await api("DELETE", "/repositories/a%252fb"), 400, "NAME_INVALID");
    expectProblem(await api("DELETE", "/repositories/not%2fthere"), 404, "NAME_UNKNOWN");
  });

  test("are deleted with all they hold, and take pushes at once", async () => {
    const image = await registry.as(admin).pushImage("doomed/app", "v1");
    await registry.must(200, "GET", "/v2/doomed/app/manifests/v1", { as: admin });
    assert.equal((await api("DELETE", "/repositories/doomed/app")).status, 202);
    expectProblem(await api("DELETE", "/repositories/doomed/app"), 404, "NAME_UNKNOWN");
    for (const path of ["manifests/v1", `manifests/${image.digest}`, `blobs/${image.config}`, "tags/list"]) {
      await registry.must(404, "GET", `/v2/doomed/app/${path}`, { as: admin });
    }
    const body = content();
    const headers = { "Content-Type": "application/vnd.oci.image.manifest.v1+json" };
    const put = { as: admin, headers, body: image.manifest };
    const refused = await registry.send("PUT", "/v2/doomed/app/manifests/v1", put);
    expectError(refused, 404, "MANIFEST_BLOB_UNKNOWN");
    const digest = digestOf(body);
    const list = await registry.must(200, "GET", "/v2/_catalog", { as: admin });
    assert(!list.text.includes("doomed"));
    await registry.must(201, "POST", `/v2/doomed/app/blobs/uploads/?digest=${digest}`, { as: admin, body });
    await registry.as(admin).pushImage("doomed/app", "v2");
    const info = await registry.must(200, "GET", "/api/v1/repositories/doomed/app", { as: admin });
    assert.equal(info.json<{ visibility: string }>().visibility, "private");
  });
});
