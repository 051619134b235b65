/** `/api/v1/accounts`, field by field. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { expectProblem } from "../support/answer.ts";
import type { RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";

const registry = await startClosedRegistry();
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
await registry.account("alice", grants);
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

type View = Record<string, unknown>;

const api = (method: string, path: string, options: RequestOptions = {}) =>
  registry.send(method, `/api/v1${path}`, { as: admin, ...options });

describe("accounts", () => {
  test("are made, shown, changed and deleted", async () => {
    const password = "a password of some length";
    const made = await api("PUT", "/accounts/carol", { json: { password, grants } });
    assert.equal(made.status, 201, made.text);
    const { createdAt, ...shown } = made.json<View>();
    assert.match(String(createdAt), timePattern);
    assert.deepEqual(shown, { name: "carol", grants, disabled: false, hasPassword: true });
    const got = await api("GET", "/accounts/carol");
    assert.deepEqual([got.status, got.json()], [200, { createdAt, ...shown }]);

    const narrower = [{ repository: "team/app", verbs: ["pull"] }];
    const changed = await api("PUT", "/accounts/carol", { json: { grants: narrower, disabled: true } });
    assert.equal(changed.status, 200);
    assert.deepEqual(changed.json(), { ...shown, createdAt, grants: narrower, disabled: true });
    await registry.must(401, "GET", "/v2/", { as: { name: "carol", password } });
    await api("PUT", "/accounts/carol", { json: { grants } });
    await registry.must(200, "GET", "/v2/", { as: { name: "carol", password } });

    const deleted = await api("DELETE", "/accounts/carol");
    assert.deepEqual([deleted.status, deleted.text], [204, ""]);
    for (const method of ["GET", "DELETE"]) {
      expectProblem(await api(method, "/accounts/carol"), 404, "ACCOUNT_UNKNOWN");
    }
  });

  test("without a password are for tokens alone", async () => {
    const made = await api("PUT", "/accounts/robot", { json: { grants } });
    assert.deepEqual([made.status, made.json<View>().hasPassword], [201, false]);
    for (const password of ["", "undefined", "null"]) {
      await registry.must(401, "GET", "/v2/", { as: { name: "robot", password } });
    }
    const { secret } = await registry.generateToken("robot");
    await registry.must(200, "GET", "/v2/", { as: { name: "robot", password: secret } });
  });

  test("are listed in pages", async () => {
    for (const name of ["page-1", "page-2", "page-3"])
      await api("PUT", `/accounts/${name}`, { json: { grants: [] } });
    const names: unknown[] = [];
    let path = "/api/v1/accounts?n=2";
    for (let pages = 0; path !== ""; pages++) {
      assert(pages < 20);
      const page = await registry.must(200, "GET", path, { as: admin });
      const { accounts } = page.json<{ accounts: View[] }>();
      assert(accounts.length <= 2);
      names.push(...accounts.map(({ name }) => name));
      path = /^<([^>]+)>; rel="next"$/.exec(page.headers.get("Link") ?? "")?.[1] ?? "";
    }
    assert.deepEqual(names, [...names].sort());
    assert(["alice", "page-1", "page-2", "page-3"].every((name) => names.includes(name)));
    expectProblem(await api("GET", "/accounts?n=x"), 400, "PAGE_INVALID");
  });

  const names = [
    "admin",
    "oidc",
    "anonymous",
    "__proto__",
    "Alice",
    "a b",
    "a:b",
    "oidc:x",
    "a/b",
    "a%2fb",
    "-a",
    ".a",
    "_a",
    "ａlice",
    "a".repeat(64),
    "%00",
    "a%00",
    "a%0a",
    "..%2fadmin",
    "😀",
  ];
  for (const name of names) {
    test(`cannot be called ${JSON.stringify(name).slice(0, 40)}`, async () => {
      const answer = await api("PUT", `/accounts/${name}`, {
        json: { password: "a long enough password", grants },
      });
      assert([400, 404].includes(answer.status), answer.text);
    });
  }

  test("may be called as what objects inherit", async () => {
    for (const name of ["constructor", "tostring", "hasownproperty", "a".repeat(63)]) {
      expectProblem(await api("GET", `/accounts/${name}`), 404, "ACCOUNT_UNKNOWN");
      const as = await registry.account(name, grants);
      await registry.must(202, "POST", "/v2/team/app/blobs/uploads/", { as });
    }
  });

  const bodies: [string, RequestOptions][] = [
    ["nothing", {}],
    ["no JSON", { body: "{" }],
    ["bytes that are no text", { body: new Uint8Array([0x7b, 0xff, 0x7d]) }],
    ["a list", { json: [] }],
    ["null", { json: null }],
    ["a text", { json: "x" }],
    ["an unknown field", { json: { grants, admin: true } }],
    ["__proto__", { body: '{"grants":[],"__proto__":{"disabled":false}}' }],
    ["constructor", { body: '{"grants":[],"constructor":{}}' }],
    ["no grants", { json: { password: "a long enough password" } }],
    ["grants that are an object", { json: { grants: {} } }],
    ["grants that are texts", { json: { grants: ["team/**"] } }],
    ["grants of null", { json: { grants: [null] } }],
    ["a grant without verbs", { json: { grants: [{ repository: "a" }] } }],
    ["a grant without a repository", { json: { grants: [{ verbs: ["pull"] }] } }],
    ["an unknown verb", { json: { grants: [{ repository: "a", verbs: ["fly"] }] } }],
    ["a verb of another case", { json: { grants: [{ repository: "a", verbs: ["PULL"] }] } }],
    ["all verbs in one", { json: { grants: [{ repository: "a", verbs: ["*"] }] } }],
    ["a verb that is a list", { json: { grants: [{ repository: "a", verbs: [["pull"]] }] } }],
    ["an inherited verb", { json: { grants: [{ repository: "a", verbs: ["constructor"] }] } }],
    ["an empty pattern", { json: { grants: [{ repository: "", verbs: [] }] } }],
    ["a pattern in capitals", { json: { grants: [{ repository: "Team/*", verbs: [] }] } }],
    ["a pattern of three stars", { json: { grants: [{ repository: "***", verbs: [] }] } }],
    ["a pattern with stars in a segment", { json: { grants: [{ repository: "team**", verbs: [] }] } }],
    ["a pattern with an empty segment", { json: { grants: [{ repository: "a//b", verbs: [] }] } }],
    ["a regular expression", { json: { grants: [{ repository: "(a|b)+", verbs: [] }] } }],
    ["a long pattern", { json: { grants: [{ repository: "a".repeat(256), verbs: [] }] } }],
    ["too many grants", { json: { grants: Array.from({ length: 201 }, () => grants[0]) } }],
    ["disabled as a text", { json: { grants, disabled: "true" } }],
    ["disabled as null", { json: { grants, disabled: null } }],
    ["a short password", { json: { grants, password: "short" } }],
    ["a password that is null", { json: { grants, password: null } }],
    ["a password that is a number", { json: { grants, password: 123456789012 } }],
    ["a password that is a list", { json: { grants, password: Array(12).fill("a") } }],
    ["a long password", { json: { grants, password: "a".repeat(513) } }],
    ["a large body", { body: `{"grants":[]${" ".repeat(256 * 1024)}}` }],
  ];
  for (const [what, options] of bodies) {
    test(`are not made of ${what}`, async () => {
      const detail = expectProblem(await api("PUT", "/accounts/wrong", options), 400, "REQUEST_INVALID");
      assert.equal(typeof detail, "string");
      assert.equal((await api("GET", "/accounts/wrong")).status, 404);
    });
  }

  test("with passwords that look like something else log in", async () => {
    for (const [name, password] of [
      ["looks-generated", "stw_this is my password"],
      ["with-colons", "a:b:c:d:e:f:g:h"],
      ["unicode", "пароль длинный 😀"],
      ["spaces", "   twelve spaces  "],
    ] as const) {
      assert.equal((await api("PUT", `/accounts/${name}`, { json: { password, grants } })).status, 201);
      await registry.must(200, "GET", "/v2/", { as: { name, password } });
    }
  });
});
