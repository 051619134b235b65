/** Policies: the document, what it forbids, and what an administrator overrides. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { expectError, expectProblem } from "../support/answer.ts";
import { describe as describing, digestOf, imageIndex } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();
const path = "/api/v1/policies";

const put = (rules: unknown, headers: Record<string, string> = {}) =>
  registry.send("PUT", path, { json: { rules }, headers });
const newIndex = (id: unknown) => imageIndex([], { annotations: { id: String(id) } });
const push = (repository: string, reference: string, bytes: Uint8Array, type = imageIndexType) =>
  registry.send("PUT", `/v2/${repository}/manifests/${reference}`, {
    headers: { "Content-Type": type },
    body: bytes,
  });

test("the document is read, put, and put again only on the version that was read", async () => {
  const first = await registry.must(200, "GET", path);
  assert.deepEqual([first.json<{ rules: unknown }>().rules, first.header("ETag")], [[], '"0"']);
  const rules = [{ repositories: ["stored/**"], tags: { allow: ["v*"] } }];
  const answer = await put(rules, { "If-Match": '"0"' });
  assert.equal(answer.status, 200, answer.text);
  const { version, changedBy } = answer.json<{ version: number; changedBy: string }>();
  assert.deepEqual([version, changedBy, answer.header("ETag")], [1, "anonymous", '"1"']);
  expectProblem(await put([], { "If-Match": '"0"' }), 412, "POLICIES_CHANGED");
  expectProblem(await put([], { "If-Match": "1" }), 400, "REQUEST_INVALID");
  const read = await registry.must(200, "GET", path);
  assert.deepEqual(read.json<{ rules: unknown }>().rules, rules);
  assert.equal((await put([], { "If-Match": '"1"' })).status, 200);
});

describe("a wrong document is refused, and the place is named", () => {
  const rule = { repositories: ["**"], tags: { allow: ["v*"] } };
  const wrong: [title: string, rules: unknown, said: RegExp][] = [
    ["no list", {}, /rules must be a list of at most 200 rules/],
    ["too many rules", Array.from({ length: 201 }, () => rule), /rules must be a list of at most 200 rules/],
    ["a rule that is none", [rule, "all"], /rules\[1\] must be an object with repositories/],
    [
      "a rule without repositories",
      [{ tags: rule.tags }],
      /rules\[0\]\.repositories must be a list of 1 to 50/,
    ],
    ["a rule that says nothing", [{ repositories: ["**"] }], /rules\[0\] must be .* at least one of tags, /],
    [
      "a misspelt section",
      [{ ...rule, tag: {} }],
      /unknown field rules\[0\]\.tag; there are repositories, tags/,
    ],
    [
      "a misspelt list",
      [rule, { ...rule, tags: { alow: ["*"] } }],
      /unknown field rules\[1\]\.tags\.alow; there are allow, immutable/,
    ],
    ["no patterns", [{ ...rule, tags: { allow: [] } }], /rules\[0\]\.tags\.allow must be a list of 1 to 50/],
    [
      "a pattern that is none",
      [{ ...rule, tags: { immutable: ["v*", "v**"] } }],
      /rules\[0\]\.tags\.immutable\[1\] must be a pattern of tags/,
    ],
    [
      "too many patterns",
      [{ repositories: Array.from({ length: 51 }, () => "a") }],
      /rules\[0\]\.repositories must be a list of 1 to 50/,
    ],
    [
      "two ways to keep in a line",
      [{ repositories: ["**"], keep: [{ tags: ["*"] }, { tags: ["*"], newest: 1, pushedWithin: "1d" }] }],
      /rules\[0\]\.keep\[1\] must be an object with tags and at most one of newestVersions, newest/,
    ],
    [
      "a number that is none",
      [rule, { repositories: ["**"], keep: [{ tags: ["*"], newest: 0 }] }],
      /rules\[1\]\.keep\[0\]\.newest must be a whole number from 1 to/,
    ],
    [
      "a duration that is none",
      [{ repositories: ["**"], remove: { tags: ["*"], untaggedAfter: "a week" } }],
      /rules\[0\]\.remove\.untaggedAfter must be a duration such as/,
    ],
    [
      "names of another kind",
      [{ repositories: ["**"], names: ["*"] }],
      /rules\[0\]\.names must be an object/,
    ],
  ];
  for (const [title, rules, said] of wrong) {
    test(title, async () => {
      const answer = await put(rules);
      assert.equal(answer.status, 400);
      assert.match(answer.json<{ detail: string }>().detail, said);
    });
  }
});

test("what holds for a repository is of the first rule that matches, section by section", async () => {
  await push("held/app", "v1", newIndex("held"));
  await put([
    { repositories: ["held/*"], tags: { immutable: ["v*"] } },
    { repositories: ["**"], tags: { allow: ["*"] }, names: { allow: ["*/*"] } },
  ]);
  const { version: _, ...policy } = (
    await registry.must(200, "GET", "/api/v1/repositories/held/app/policy")
  ).json<{ version: number }>();
  assert.deepEqual(policy, {
    retention: { held: [] },
    breaks: { name: false, tags: [] },
    tags: { immutable: ["v*"], rule: 0 },
    names: { allow: ["*/*"], rule: 1 },
  });
  await registry.must(404, "GET", "/api/v1/repositories/held/none/policy");
});

test("tags and new repositories have names that are allowed, and the answer says which", async () => {
  await put([]);
  await push("named", "any", newIndex("before"));
  await put([
    { repositories: ["**"], tags: { allow: ["v[0-9]*", "latest"] }, names: { allow: ["team/*", "*/*/*"] } },
  ]);
  const refused = await push("team/app", "any", newIndex(1));
  expectError(refused, 403, "DENIED");
  assert.match(refused.text, /tag: any.*rules\[0\]\.tags\.allow.*v\[0-9\]\*, latest.*example: v1/);
  for (const tag of ["v1", "latest", `sha256-${"a".repeat(64)}`, `sha256-${"a".repeat(64)}.sig`])
    assert.equal((await push("team/app", tag, newIndex(tag))).status, 201, tag);
  const unnamed = await push("app", "v1", newIndex(1));
  expectError(unnamed, 403, "DENIED");
  assert.match(unnamed.text, /repository: app.*rules\[0\]\.names\.allow.*example: team\/app/);
  // The first step of a push knows it.
  expectError(await registry.send("POST", "/v2/app/blobs/uploads/"), 403, "DENIED");
  await registry.must(404, "GET", "/v2/app/tags/list");
  // What is there stays, and a tag that is there may move.
  await registry.must(202, "POST", "/v2/named/blobs/uploads/");
  assert.equal((await push("named", "any", newIndex("after"))).status, 201);
  await put([]);
  assert.equal((await push("app", "any", newIndex(1))).status, 201);
});

test("an immutable tag is made once, and nothing that it leads to is deleted", async () => {
  await put([{ repositories: ["fixed/**"], tags: { immutable: ["v*"] } }]);
  const [child, other] = [newIndex("child"), newIndex("other")];
  const parent = imageIndex([describing(child, imageIndexType)]);
  assert.equal((await push("fixed/app", digestOf(child), child)).status, 201);
  assert.equal((await push("fixed/app", "v1", parent)).status, 201);
  assert.equal((await push("fixed/app", "v1", parent)).status, 201);
  const refused = await push("fixed/app", "v1", other);
  expectError(refused, 409, "DENIED");
  const said = refused.json<{ errors: [{ detail: unknown }] }>().errors[0].detail;
  assert.deepEqual(said, { tag: "v1", digest: digestOf(parent), rule: "rules[0].tags.immutable" });
  for (const reference of ["v1", digestOf(parent), digestOf(child)])
    expectError(await registry.send("DELETE", `/v2/fixed/app/manifests/${reference}`), 409, "DENIED");
  expectProblem(await registry.send("DELETE", "/api/v1/repositories/fixed/app"), 409, "TAG_IMMUTABLE");
  assert.equal((await push("fixed/app", "main", other)).status, 201);
  await registry.must(202, "DELETE", `/v2/fixed/app/manifests/${digestOf(other)}`);
});

test("a tag that became immutable is not restored to what it was before", async () => {
  const [before, now] = [newIndex("before"), newIndex("now")];
  await put([]);
  await push("restored/app", "v1", before);
  await push("restored/app", "v1", now);
  await put([{ repositories: ["**"], tags: { immutable: ["v*"] } }]);
  const tag = "/api/v1/repositories/restored/app/tags/v1";
  expectProblem(await registry.send("POST", `${tag}/restore`), 409, "TAG_IMMUTABLE");
  await registry.must(200, "POST", `${tag}/restore`, { json: { digest: digestOf(now) } });
});

test("an administrator overrides one tag, and its history says why", async () => {
  await put([{ repositories: ["**"], tags: { immutable: ["v*"] } }]);
  const [wrong, right] = [newIndex("wrong"), newIndex("right")];
  await push("overridden/app", "v1", wrong);
  await push("overridden/app", digestOf(right), right);
  const override = (fields: object) =>
    registry.send("POST", `${path}/override`, {
      json: { repository: "overridden/app", tag: "v1", ...fields },
    });
  expectProblem(await override({ digest: digestOf(right), reason: "" }), 400, "REQUEST_INVALID");
  expectProblem(
    await override({ digest: digestOf(newIndex("absent")), reason: "x" }),
    404,
    "MANIFEST_UNKNOWN",
  );
  assert.equal(
    (await override({ digest: digestOf(right), reason: "built from a wrong commit" })).status,
    200,
  );
  expectError(await push("overridden/app", "v1", wrong), 409, "DENIED");
  const listed = await registry.must(200, "GET", "/api/v1/repositories/overridden/app/tags/v1/history");
  const [last] = listed.json<{ history: { to: string; reason?: string }[] }>().history;
  assert.deepEqual([last?.to, last?.reason], [digestOf(right), "built from a wrong commit"]);
  assert.equal((await override({ reason: "withdrawn" })).status, 200);
  assert.equal((await push("overridden/app", "v1", wrong)).status, 201);
});

test("of 32 clients that push a new immutable tag at once, one wins, and only its twin is answered alike", async () => {
  await put([{ repositories: ["**"], tags: { immutable: ["v*"] } }]);
  const contents = Array.from({ length: 32 }, (_, id) => newIndex(`race ${id === 31 ? 0 : id}`));
  const answers = await Promise.all(contents.map((bytes) => push("raced/app", "v1", bytes)));
  const { digest } = (await registry.must(200, "GET", "/api/v1/repositories/raced/app/tags/v1")).json<{
    digest: string;
  }>();
  for (const [id, { status }] of answers.entries())
    assert.equal(status, digestOf(contents[id] ?? newIndex("none")) === digest ? 201 : 409, `client ${id}`);
});
