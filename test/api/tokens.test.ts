/** `/api/v1/accounts/{account}/tokens`, field by field. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { isGeneratedSecret } from "../../src/edge/auth/passwords.ts";
import { expectProblem } from "../support/answer.ts";
import type { RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";

const registry = await startClosedRegistry();
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
await registry.account("alice", grants);
const dayPattern = /^\d{4}-\d\d-\d\d$/;

type View = Record<string, unknown>;

const api = (method: string, path: string, options: RequestOptions = {}) =>
  registry.send(method, `/api/v1${path}`, { as: admin, ...options });

describe("generated tokens", () => {
  test("are made, listed and deleted; the secret is seen once", async () => {
    const json = {
      description: "build",
      grants: [{ repository: "team/app", verbs: ["push"] }],
      expiresInSeconds: 3600,
    };
    const made = await api("POST", "/accounts/alice/tokens", { json });
    assert.equal(made.status, 201);
    assert.match(made.header("Cache-Control"), /^no-store/);
    const { secret, ...token } = made.json<View>();
    registry.secrets.add(String(secret));
    const { id, createdAt, expiresAt, ...rest } = token;
    assert.deepEqual(rest, { description: "build", grants: json.grants });
    assert.match(String(id), /^[0-9a-f-]{36}$/);
    assert.equal(Date.parse(String(expiresAt)) - Date.parse(String(createdAt)), 3_600_000);
    assert.match(String(secret), /^stw_[A-Za-z0-9_-]{49}$/);
    assert(isGeneratedSecret(String(secret)));

    const list = async () => (await api("GET", "/accounts/alice/tokens")).json<{ tokens: View[] }>().tokens;
    assert.deepEqual(await list(), [token]);
    const as = { name: "alice", password: String(secret) };
    await registry.must(202, "POST", "/v2/team/app/blobs/uploads/", { as });
    await registry.must(403, "POST", "/v2/team/other/blobs/uploads/", { as });
    const [used] = await list();
    assert.match(String(used?.lastUsed), dayPattern);

    const deleted = await api("DELETE", `/accounts/alice/tokens/${id}`);
    assert.deepEqual([deleted.status, deleted.text], [204, ""]);
    expectProblem(await api("DELETE", `/accounts/alice/tokens/${id}`), 404, "ACCOUNT_TOKEN_UNKNOWN");
    assert.deepEqual(await list(), []);
  });

  test("are of their account alone", async () => {
    const { id, secret } = await registry.generateToken("alice");
    await registry.account("dave", grants);
    expectProblem(await api("DELETE", `/accounts/dave/tokens/${id}`), 404, "ACCOUNT_TOKEN_UNKNOWN");
    for (const name of ["dave", "admin", "", "Alice", "nobody"]) {
      await registry.must(401, "GET", "/v2/", { as: { name, password: secret } });
    }
    await registry.must(200, "GET", "/v2/", { as: { name: "alice", password: secret } });
  });

  test("with one character changed are none", async () => {
    const { secret } = await registry.generateToken("alice");
    const swap = (at: number) =>
      secret.slice(0, at) + (secret[at] === "A" ? "B" : "A") + secret.slice(at + 1);
    for (const wrong of [
      swap(5),
      swap(52),
      secret.slice(0, -1),
      `${secret}A`,
      secret.replace("stw_", "STW_"),
    ]) {
      const headers = { "CF-Connecting-IP": crypto.randomUUID() };
      await registry.must(401, "GET", "/v2/", { as: { name: "alice", password: wrong }, headers });
      await registry.must(401, "GET", "/v2/", { as: wrong, headers });
    }
  });

  const bodies: [string, unknown][] = [
    ["nothing", {}],
    ["an empty description", { description: "" }],
    ["a long description", { description: "a".repeat(201) }],
    ["a description that is a number", { description: 1 }],
    ["an unknown field", { description: "x", secret: "stw_mine" }],
    ["grants of null", { description: "x", grants: null }],
    ["a wrong grant", { description: "x", grants: [{ repository: "**", verbs: ["all"] }] }],
    ["no time", { description: "x", expiresInSeconds: 0 }],
    ["negative time", { description: "x", expiresInSeconds: -1 }],
    ["half a second", { description: "x", expiresInSeconds: 0.5 }],
    ["a time that is a text", { description: "x", expiresInSeconds: "60" }],
    ["a time that is null", { description: "x", expiresInSeconds: null }],
    ["all time", { description: "x", expiresInSeconds: 1e15 }],
  ];
  for (const [what, json] of bodies) {
    test(`are not made of ${what}`, async () => {
      expectProblem(await api("POST", "/accounts/alice/tokens", { json }), 400, "REQUEST_INVALID");
    });
  }

  test("are not made for accounts that do not exist", async () => {
    const json = { description: "x" };
    for (const name of ["nobody", "oidc", "anonymous", "__proto__"]) {
      expectProblem(await api("POST", `/accounts/${name}/tokens`, { json }), 404, "ACCOUNT_UNKNOWN");
      expectProblem(await api("GET", `/accounts/${name}/tokens`), 404, "ACCOUNT_UNKNOWN");
    }
  });

  test("are at most a hundred to an account", async () => {
    await api("PUT", "/accounts/many", { json: { grants } });
    const json = { description: "x" };
    const made = await Promise.all(
      Array.from({ length: 100 }, () => api("POST", "/accounts/many/tokens", { json })),
    );
    assert(made.every(({ status }) => status === 201));
    expectProblem(await api("POST", "/accounts/many/tokens", { json }), 400, "REQUEST_INVALID");
  });
});
