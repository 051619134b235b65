/** Who may use the management API. test/contract/access.test.ts asks that of each operation. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { decodeJwt } from "jose";
import { expectProblem } from "../support/answer.ts";
import type { Credential, RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { unknownDigest } from "../support/content.ts";

const registry = await startClosedRegistry();
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
const alice = await registry.account("alice", grants);
await registry.as(admin).pushImage("open/app", "v1");
await registry.setVisibility("open/app", "public");

const api = (method: string, path: string, options: RequestOptions = {}) =>
  registry.send(method, `/api/v1${path}`, { as: admin, ...options });

describe("who may use it", () => {
  const cases: [string, string, unknown?][] = [
    ["GET", "/accounts"],
    ["GET", "/accounts/dora"],
    ["PUT", "/accounts/dora", { grants: [{ repository: "**", verbs: ["admin"] }] }],
    ["PUT", "/accounts/new", { grants: [] }],
    ["DELETE", "/accounts/dora"],
    ["GET", "/accounts/dora/tokens"],
    ["POST", "/accounts/dora/tokens", { description: "x" }],
    ["GET", "/accounts/admin/tokens"],
    ["POST", "/accounts/admin/tokens", { description: "x" }],
    ["POST", "/explain", { account: "dora", repository: "a", verb: "pull" }],
    ["GET", "/audit"],
    ["POST", "/keys/rotate"],
    ["PATCH", "/repositories/team/app", { visibility: "public" }],
    ["DELETE", "/repositories/team/app"],
    ["POST", "/gc"],
    ["GET", "/usage"],
    ["POST", "/scrub"],
    ["POST", "/replica/rebuild"],
    ["GET", "/repositories/other/app/manifests"],
    ["GET", "/repositories/other/app/tags/v1/history"],
    ["POST", "/repositories/other/app/tags/v1/restore"],
    ["POST", `/repositories/other/app/manifests/${unknownDigest()}/restore`],
    // Everybody may pull this one, which is not enough for these.
    ["PATCH", "/repositories/open/app", { visibility: "private" }],
    ["GET", "/repositories/open/app/history"],
  ];
  const send = (method: string, path: string, json: unknown, as: Credential | undefined) =>
    api(method, path, json === undefined ? { as } : { as, json });

  test("not others than administrators", async () => {
    await registry.account("dora", grants);
    await registry.as(admin).pushImage("team/app", "v1");
    for (const [method, path, json] of cases) {
      expectProblem(await send(method, path, json, alice), 403, "DENIED");
    }
  });

  test("nobody without a credential, or with a bearer token", async () => {
    const bearer = await registry.as(admin).bearer("repository:team/app:*", "registry:catalog:*");
    for (const as of [undefined, bearer, await registry.bearer()]) {
      for (const [method, path, json] of [...cases, ["GET", "/repositories"] as const]) {
        const refused = await send(method, path, json, as);
        expectProblem(refused, 401, "UNAUTHORIZED");
        assert.equal(refused.header("WWW-Authenticate"), 'Basic realm="stowage", charset="UTF-8"');
      }
    }
  });

  test("no account for itself, where it would be more or end", async () => {
    const json = { grants: [{ repository: "**", verbs: ["pull"] }] };
    expectProblem(await send("PUT", "/accounts/alice", json, alice), 403, "DENIED");
    expectProblem(await send("DELETE", "/accounts/alice", undefined, alice), 403, "DENIED");
    assert.equal((await api("GET", "/accounts/alice", { as: alice })).status, 200);
  });

  test("an account for its own tokens, which are no wider than the account", async () => {
    const own = await api("GET", "/accounts/alice", { as: alice });
    assert.equal(own.status, 200);
    const json = {
      description: "mine",
      grants: [{ repository: "**", verbs: ["pull", "push", "delete", "admin"] }],
    };
    const made = await api("POST", "/accounts/alice/tokens", { as: alice, json });
    assert.equal(made.status, 201);
    const { id, secret } = made.json<{ id: string; secret: string }>();
    registry.secrets.add(secret);
    assert.equal((await api("GET", "/accounts/alice/tokens", { as: alice })).status, 200);
    for (const [method, path, body] of cases) {
      expectProblem(await send(method, path, body, { name: "alice", password: secret }), 403, "DENIED");
    }
    const token = await registry
      .as({ name: "alice", password: secret })
      .bearer("repository:team/app:*", "repository:a:*");
    assert.deepEqual(
      (decodeJwt(token).access as { actions: string[] }[]).map(({ actions }) => actions),
      [["pull", "push"], []],
    );
    assert.equal((await api("DELETE", `/accounts/alice/tokens/${id}`, { as: alice })).status, 204);
  });

  test("a generated token for itself alone: not its account, not its account's other tokens", async () => {
    for (const [name, owner] of [
      ["alice", alice],
      ["admin", admin],
    ] as const) {
      const other = await registry.generateToken(name);
      const { id, secret } = await registry.generateToken(name, {
        grants: [{ repository: "team/app", verbs: ["pull"] }],
      });
      for (const as of [secret, { name, password: secret }]) {
        expectProblem(
          await api("POST", `/accounts/${name}/tokens`, { as, json: { description: "x" } }),
          403,
          "DENIED",
        );
        expectProblem(await api("GET", `/accounts/${name}/tokens`, { as }), 403, "DENIED");
        expectProblem(await api("DELETE", `/accounts/${name}/tokens/${other.id}`, { as }), 403, "DENIED");
        expectProblem(await api("GET", "/accounts", { as }), 403, "DENIED");
      }
      assert.equal((await api("DELETE", `/accounts/${name}/tokens/${id}`, { as: secret })).status, 204);
      await registry.must(401, "GET", "/v2/", { as: secret });
      assert.equal((await api("DELETE", `/accounts/${name}/tokens/${other.id}`, { as: owner })).status, 204);
    }
  });

  test("another administrator, and a token of theirs unless it is narrower", async () => {
    const boss = await registry.account("boss", [{ repository: "**", verbs: ["admin"] }]);
    const wide = await registry.generateToken("boss");
    const narrow = await registry.generateToken("boss", {
      grants: [{ repository: "team/**", verbs: ["admin"] }],
    });
    for (const as of [boss, { name: "boss", password: wide.secret }, wide.secret]) {
      assert.equal((await api("GET", "/accounts", { as })).status, 200);
    }
    expectProblem(await api("GET", "/accounts", { as: narrow.secret }), 403, "DENIED");
    await registry.must(200, "PATCH", "/api/v1/repositories/team/app", { as: narrow.secret, json: {} });
  });

  test("no page of another site, in a browser that knows the password", async () => {
    const headers = { "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain" };
    for (const [method, path, json] of cases) {
      const sent = json === undefined ? { as: admin, headers } : { as: admin, headers, json };
      expectProblem(await api(method, path, sent), 403, "SITE_FOREIGN");
    }
    for (const site of ["none", "same-origin"]) {
      assert.equal((await api("GET", "/accounts", { headers: { "Sec-Fetch-Site": site } })).status, 200);
    }
  });

  test("by no other method or path", async () => {
    const refused = await api("POST", "/accounts");
    expectProblem(refused, 405, "METHOD_UNSUPPORTED");
    assert.equal(refused.header("Allow"), "GET, HEAD");
    assert.equal((await registry.send("GET", "/v2/api/v1/accounts")).status, 404);
  });
});
