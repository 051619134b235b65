/** Finding repositories and tags: what is found, how soon, and what is never shown. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Credential } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { until } from "../support/registry.ts";

const registry = await startClosedRegistry();

type Found = {
  repositories: { name: string; tags: number; size: number; kinds: string[]; pushedBy?: string }[];
  tags: { repository: string; tag: string; digest: string }[];
};

async function find(query: Record<string, string>, as?: Credential): Promise<Found> {
  const answer = await registry.must(200, "GET", `/api/v1/search?${new URLSearchParams(query)}`, { as });
  return answer.json<Found>();
}

async function names(query: Record<string, string>, as: Credential | undefined = admin): Promise<string[]> {
  return (await find(query, as)).repositories.map(({ name }) => name);
}

for (const name of ["team/app", "team/api-gateway", "other/application", "library/nginx", "ap"]) {
  await registry.as(admin).pushImage(name, "v1");
}
const image = await registry.as(admin).pushImage("team/app", "v2");
await registry.setVisibility("library/nginx", "public");
const developer = await registry.account("developer", [{ repository: "team/*", verbs: ["pull"] }]);
const pusher = await registry.account("pusher", [{ repository: "team/**", verbs: ["push"] }]);
await until("all to be found", async () => {
  const found = await find({ sort: "name" }, admin);
  return found.repositories.length === 5 && found.repositories.some(({ tags }) => tags === 2);
});

test("what was pushed is found with its facts", async () => {
  const [app] = (await find({ q: "team/app" }, admin)).repositories;
  assert.deepEqual([app?.name, app?.tags, app?.kinds, app?.pushedBy], ["team/app", 2, ["image"], "admin"]);
  assert((app?.size ?? 0) > 0);
});

const searches: [q: string, found: string[]][] = [
  ["app", ["team/app", "other/application"]],
  ["APP", ["team/app", "other/application"]],
  ["ap", ["ap", "other/application", "team/api-gateway", "team/app"]],
  ["gate", ["team/api-gateway"]],
  ["team app", ["team/app"]],
  ["lication", ["other/application"]],
  ["ga", []],
  ['"', []],
  ["app OR nginx", []],
  ["app*", []],
  ["name:app", []],
  ["' OR 1=1 --", []],
  ["%", []],
];

for (const [q, found] of searches) {
  test(`${JSON.stringify(q)} finds ${found.join(", ") || "nothing"}`, async () => {
    const sorted = (list: string[]) => list.toSorted();
    assert.deepEqual(sorted(await names({ q })), sorted(found));
  });
}

test("the repository that is called like the text comes first", async () => {
  assert.equal((await names({ q: "app" }))[0], "team/app");
  assert.equal((await names({ q: "ap" }))[0], "ap");
});

test("callers find what they may pull, and what is public", async () => {
  const open = ["library/nginx"];
  assert.deepEqual(await names({ sort: "name" }, developer), [...open, "team/api-gateway", "team/app"]);
  assert.deepEqual(await names({ sort: "name" }, pusher), open);
  assert.deepEqual(
    (await find({})).repositories.map(({ name }) => name),
    open,
  );
  for (const query of [
    { q: "app" },
    { q: "other/application" },
    { q: "oth" },
    { kind: "image", q: "application" },
  ]) {
    assert.deepEqual(await names(query, pusher), [], JSON.stringify(query));
  }
});

test("what a caller may not see changes no answer", async () => {
  const before = await registry.must(200, "GET", "/api/v1/search?q=app&n=1", { as: developer });
  for (const name of ["hidden/app", "hidden/app-2", "hidden/app-3"])
    await registry.as(admin).pushImage(name, "v1");
  await until("them to be found", async () => (await names({ q: "hidden" })).length === 3);
  const after = await registry.must(200, "GET", "/api/v1/search?q=app&n=1", { as: developer });
  assert.deepEqual([after.text, after.headers.get("Link")], [before.text, before.headers.get("Link")]);
  for (const q of ["v1", "hidden/app:v1", image.digest.slice(0, 20)]) {
    const { tags } = await find({ q, type: "tag" }, pusher);
    assert(
      tags.every(({ repository }) => repository === "library/nginx"),
      JSON.stringify(tags),
    );
  }
});

test("repositories below what a pattern matches do not change where a page ends", async () => {
  const before = await registry.must(200, "GET", "/api/v1/search?q=gateway&n=1", { as: developer });
  assert.deepEqual(before.headers.get("Link"), null);
  const hidden = ["team/a/gateway", "team/a/gateway-2", "team/inner/api-gateway", "team/inner/gateway"];
  for (const name of hidden) await registry.as(admin).pushImage(name, "v1");
  await until("them to be found", async () => (await names({ q: "gateway" })).length === 5);
  for (const [query, found] of [
    ["q=gateway", ["team/api-gateway"]],
    ["q=inner", []],
    ["q=gateway&sort=name", ["team/api-gateway"]],
    ["q=gateway&last=1", []],
  ] as const) {
    const after = await registry.must(200, "GET", `/api/v1/search?n=1&${query}`, { as: developer });
    assert.deepEqual(
      after.json<Found>().repositories.map(({ name }) => name),
      found,
    );
    assert.equal(after.headers.get("Link"), null, query);
  }
  const tags = await registry.must(200, "GET", "/api/v1/search?q=inner:&type=tag&n=1", { as: developer });
  assert.deepEqual([tags.json<Found>().tags, tags.headers.get("Link")], [[], null]);
  for (const name of hidden)
    await registry.must(202, "DELETE", `/api/v1/repositories/${name}`, { as: admin });
});

test("a token finds no more than its account and itself may pull", async () => {
  const { secret } = await registry.generateToken("developer", {
    grants: [{ repository: "**", verbs: ["pull"] }],
  });
  assert.deepEqual(await names({ q: "app" }, secret), ["team/app"]);
  const narrow = await registry.generateToken("developer", {
    grants: [{ repository: "team/api-gateway", verbs: ["pull"] }],
  });
  assert.deepEqual(await names({ q: "team" }, narrow.secret), ["team/api-gateway"]);
});

test("name:tag and digests find tags", async () => {
  const byName = await find({ q: "team/app:v" }, admin);
  assert.deepEqual(
    byName.tags.map(({ repository, tag }) => `${repository}:${tag}`),
    ["team/app:v1", "team/app:v2"],
  );
  for (const q of [image.digest, image.digest.slice(0, 20)]) {
    const byDigest = await find({ q }, admin);
    assert.deepEqual(byDigest.tags, [{ repository: "team/app", tag: "v2", digest: image.digest }]);
  }
});

test("a tag that was deleted, and a repository that was, are found no more", async () => {
  await registry.as(admin).pushImage("gone/app", "v1");
  await until("it to be found", async () => (await names({ q: "gone/app" })).length === 1);
  await registry.must(202, "DELETE", "/v2/gone/app/manifests/v1", { as: admin });
  await until("the tag to be gone", async () => (await find({ q: "gone/app:v1" }, admin)).tags.length === 0);
  await registry.must(202, "DELETE", "/api/v1/repositories/gone/app", { as: admin });
  await until("the repository to be gone", async () => (await names({ q: "gone/app" })).length === 0);
});

test("a repository that becomes private is hidden at once", async () => {
  await registry.as(admin).pushImage("shown/app", "v1");
  await registry.setVisibility("shown/app", "public");
  assert.deepEqual((await find({ q: "shown" })).repositories.length, 1);
  await registry.setVisibility("shown/app", "private");
  assert.deepEqual((await find({ q: "shown" })).repositories.length, 0);
});

test("pages go on where the last one ended", async () => {
  const seen: string[] = [];
  let path: string | undefined = "/api/v1/search?n=2&sort=name";
  while (path !== undefined) {
    const answer = await registry.must(200, "GET", path, { as: admin });
    seen.push(...answer.json<Found>().repositories.map(({ name }) => name));
    path = /<([^>]+)>/.exec(answer.headers.get("Link") ?? "")?.[1];
  }
  assert.deepEqual(seen, await names({ sort: "name", n: "200" }));
});

test("no page is so far that all before it would have to be read", async () => {
  for (const type of ["repository", "tag"]) {
    for (const [last, status] of [
      ["100000", 200],
      ["100001", 400],
      ["999999999", 400],
    ] as const)
      await registry.as(admin).must(status, "GET", `/api/v1/search?q=1&type=${type}&last=${last}`);
  }
});

test("everything can be read again, and is the same", async () => {
  await until("all to be announced", async () => {
    return (await find({ sort: "name" }, admin)).repositories.every(({ tags }) => tags > 0);
  });
  const before = await find({ sort: "name" }, admin);
  await registry.must(202, "POST", "/api/v1/search/rebuild", { as: admin });
  await until("it to be read", async () => {
    return JSON.stringify(await find({ sort: "name" }, admin)) === JSON.stringify(before);
  });
});

test("a word of any length is searched for", async () => {
  const last = `${"long-".repeat(14)}app`;
  await registry.as(admin).pushImage(`wordy/${last}`, "v1");
  await until("it to be found", async () => (await names({ q: "wordy" })).length === 1);
  assert.deepEqual(await names({ q: last }), [`wordy/${last}`]);
  assert.deepEqual(await names({ q: "%".repeat(200) }), []);
});
