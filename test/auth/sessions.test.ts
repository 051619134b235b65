/** Sessions of browsers: where the cookie counts, where it does not, and what ends it. */
import assert from "node:assert/strict";
import test from "node:test";
import { apiRoot } from "../../src/contract/operation.ts";
import { type Answer, expectProblem } from "../support/answer.ts";
import type { RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { unknownDigest } from "../support/content.ts";
import { operations } from "../support/contract.ts";
import { afterTest } from "../support/ends.ts";

const registry = await startClosedRegistry();
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
await registry.as(admin).pushImage("team/app", "v1");
await registry.as(admin).pushImage("other/app", "v1");

/** What a browser says of a request that a page of the registry makes. */
const ownPage = { "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json" };

function signIn(account: string, password: string, headers = {}): Promise<Answer> {
  const json = { account, password };
  return registry.send("POST", "/api/v1/session", { json, headers: { ...ownPage, ...headers } });
}

function cookieOf(answer: Answer): string {
  const [pair = ""] = (answer.headers.get("Set-Cookie") ?? "").split(";");
  assert.match(pair, /^(__Host-)?stowage=./, answer.text);
  registry.secrets.add(pair.slice(pair.indexOf("=") + 1));
  return pair;
}

/** A request of a page by somebody who is signed in. */
function browse(cookie: string, method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
  return registry.send(method, path, {
    ...options,
    headers: { ...ownPage, Cookie: cookie, ...options.headers },
  });
}

async function newSession(name: string): Promise<{ cookie: string; password: string }> {
  const { password } = await registry.account(name, grants);
  return { cookie: cookieOf(await signIn(name, password)), password };
}

test("a session does what its account may, and no more", async () => {
  const { cookie } = await newSession("anna");
  const shown = await browse(cookie, "GET", "/api/v1/session");
  assert.equal(shown.status, 200);
  assert.deepEqual(
    { ...shown.json<object>(), endsAt: undefined, registry: undefined },
    {
      account: "anna",
      isOpen: false,
      isAdministrator: false,
      isToken: false,
      grants: [grants],
      endsAt: undefined,
      registry: undefined,
    },
  );
  const info = await browse(cookie, "GET", "/api/v1/info");
  assert.deepEqual(shown.json<{ registry: object }>().registry, info.json());
  assert.equal((await browse(cookie, "GET", "/api/v1/repositories/team/app")).status, 200);
  assert.equal((await browse(cookie, "GET", "/api/v1/repositories/other/app")).status, 403);
  assert.equal((await browse(cookie, "GET", "/api/v1/accounts")).status, 403);
});

test("the cookie is for this host alone, cannot be read by scripts, and lasts twelve hours", async () => {
  const { password } = await registry.account("attributes", []);
  const plain = (await signIn("attributes", password)).headers.get("Set-Cookie") ?? "";
  assert.match(plain, /^stowage=[^;]+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
  registry.secrets.add(plain.slice("stowage=".length, plain.indexOf(";")));
});

test("a cookie that was set over https is for https alone, and plain http has one on this machine alone", async () => {
  const proxied = await startClosedRegistry({ TRUST_FORWARDED: "yes" });
  const json = { account: admin.name, password: admin.password };
  const by = (scheme: string, host: string) => ({
    ...ownPage,
    "X-Forwarded-Proto": scheme,
    "X-Forwarded-Host": host,
  });
  const https = by("https", "images.example");
  const signedIn = await proxied.must(200, "POST", "/api/v1/session", { json, headers: https });
  const Cookie = cookieOf(signedIn);
  proxied.secrets.add(Cookie);
  assert.match(
    signedIn.header("Set-Cookie"),
    /^__Host-stowage=[^;]+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure$/,
  );
  const read = (headers: Record<string, string>, status: number) =>
    proxied.must(status, "GET", "/api/v1/accounts", { headers: { ...headers, Cookie } });
  await read(https, 200);
  await read(by("http", "localhost"), 401);
  for (const host of ["images.example", "192.0.2.1", "localhost.images.example"]) {
    const refused = await proxied.send("POST", "/api/v1/session", { json, headers: by("http", host) });
    expectProblem(refused, 403, "CONNECTION_INSECURE");
    assert.equal(refused.headers.get("Set-Cookie"), null, host);
  }
  const here = await proxied.must(200, "POST", "/api/v1/session", { json, headers: by("http", "localhost") });
  proxied.secrets.add(cookieOf(here));
});

test("who shows a credential besides a cookie acts by the credential", async () => {
  const { cookie } = await newSession("both");
  const other = await registry.account("other", []);
  for (const [as, account] of [
    [undefined, "both"],
    [other, "other"],
    [admin, "admin"],
  ] as const) {
    const shown = await browse(cookie, "GET", "/api/v1/session", { as });
    assert.equal(shown.json<{ account: string }>().account, account);
  }
  assert.equal((await browse(cookie, "GET", "/api/v1/repositories/team/app", { as: other })).status, 403);
  assert.equal((await browse(cookie, "GET", "/api/v1/session", { as: "x.y.z" })).status, 401);
});

test("a cookie on /v2, /token and /metrics does nothing", async () => {
  const { cookie } = await newSession("puller");
  const administrator = cookieOf(await signIn(admin.name, admin.password));
  for (const each of [cookie, administrator]) {
    for (const path of [
      "/v2/",
      "/v2/_catalog",
      "/v2/team/app/manifests/v1",
      "/v2/team/app/tags/list",
      "/metrics",
    ]) {
      assert.equal((await browse(each, "GET", path)).status, 401, path);
    }
    const issued = await browse(each, "GET", "/token?scope=repository:team/app:pull");
    const token = issued.json<{ token: string }>().token;
    registry.secrets.add(token);
    assert.equal((await registry.send("GET", "/v2/team/app/manifests/v1", { as: token })).status, 401);
  }
});

test("the cookie counts only where a page of the registry makes the request", async () => {
  const { cookie } = await newSession("browser");
  for (const site of ["none", "cross-site", "same-site"]) {
    const { status } = await browse(cookie, "GET", "/api/v1/repositories/team/app", {
      headers: { "Sec-Fetch-Site": site },
    });
    assert.equal(status, site === "none" ? 401 : 403, site);
  }
  const bare = await registry.send("GET", "/api/v1/repositories/team/app", { headers: { Cookie: cookie } });
  assert.equal(bare.status, 401, "a request that says nothing of where it comes from");
});

test("without a session, pages get no challenge that makes the browser ask by itself, and others do", async () => {
  for (const headers of [{ Cookie: "stowage=x.y" }, { "X-Requested-With": "stowage" }]) {
    const page = await registry.send("GET", "/api/v1/repositories/team/app", {
      headers: { ...ownPage, ...headers },
    });
    assert.equal(page.status, 401);
    assert.match(page.headers.get("WWW-Authenticate") ?? "", /^Session /);
  }
  const other = await registry.send("GET", "/api/v1/repositories/team/app");
  assert.match(other.headers.get("WWW-Authenticate") ?? "", /^Basic /);
});

const writes = operations.filter(({ method }) => method !== "GET");

/** A path of an operation, which would do something to what there is. */
function pathOf(path: string): string {
  const values: Record<string, string> = {
    name: "team/app",
    tag: "v1",
    account: "victim",
    digest: unknownDigest(),
  };
  return apiRoot + path.replace(/\{(\w+)\}/g, (_, parameter: string) => values[parameter] ?? "any");
}

test("no operation that writes is done for a page of another site, or for a form", async () => {
  await registry.account("victim", grants);
  const cookie = cookieOf(await signIn(admin.name, admin.password));
  const before = await registry.must(200, "GET", "/api/v1/repositories/team/app", { as: admin });
  const foreign = { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" };
  const port = { "Sec-Fetch-Site": "same-site", Origin: "http://127.0.0.1:1" };
  assert(writes.length > 30, String(writes.length));
  for (const { method, path, operation } of writes) {
    const target = pathOf(path);
    for (const headers of [foreign, port, { ...port, "Sec-Fetch-Site": "same-origin" }]) {
      for (const body of ["{}", undefined]) {
        const answer = await browse(cookie, method, target, { headers, ...(body && { body }) });
        assert.equal(answer.status, 403, `${method} ${path}: ${answer.text}`);
        assert.equal(answer.headers.get("Set-Cookie"), null);
      }
    }
    // Signing in and out needs no session, so none is misused.
    if (path === "/session") continue;
    // A form can send these types, and no other.
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      const answer = await browse(cookie, method, target, { body: "{}", headers: { "Content-Type": type } });
      assert.equal(answer.status, 400, `${method} ${path} as ${type}: ${answer.text}`);
    }
    // The same request of the registry's own page is let in, and refused for its field alone.
    if (!("body" in operation) || operation.body === undefined) continue;
    const own = await browse(cookie, method, target, { json: { unheardOf: true } });
    assert.equal(own.status, 400, `${method} ${path}: ${own.text}`);
    assert.match(own.text, /unheardOf/, `${method} ${path}`);
  }
  const after = await registry.must(200, "GET", "/api/v1/repositories/team/app", { as: admin });
  assert.deepEqual(after.json(), before.json());
  await registry.must(200, "GET", "/api/v1/accounts/victim", { as: admin });
});

const ends: Record<string, (name: string, password: string) => Promise<unknown>> = {
  "a new password": (name) =>
    registry.must(200, "PUT", `/api/v1/accounts/${name}`, {
      as: admin,
      json: { grants, password: "a new password" },
    }),
  disablement: (name) =>
    registry.must(200, "PUT", `/api/v1/accounts/${name}`, { as: admin, json: { grants, disabled: true } }),
  "disablement that was undone": async (name) => {
    await registry.must(200, "PUT", `/api/v1/accounts/${name}`, {
      as: admin,
      json: { grants, disabled: true },
    });
    await registry.must(200, "PUT", `/api/v1/accounts/${name}`, { as: admin, json: { grants } });
  },
  deletion: (name) => registry.must(204, "DELETE", `/api/v1/accounts/${name}`, { as: admin }),
  "deletion and another account of the same name": async (name, password) => {
    await registry.must(204, "DELETE", `/api/v1/accounts/${name}`, { as: admin });
    await registry.must(201, "PUT", `/api/v1/accounts/${name}`, { as: admin, json: { grants, password } });
  },
};

for (const [index, [what, end]] of Object.entries(ends).entries()) {
  test(`${what} ends a session at once`, async () => {
    const name = `ended-${index}`;
    const { cookie, password } = await newSession(name);
    assert.equal((await browse(cookie, "GET", "/api/v1/repositories/team/app")).status, 200);
    await end(name, password);
    for (const [method, path] of [
      ["GET", "/repositories/team/app"],
      ["GET", "/search?q=app"],
      ["PATCH", "/repositories/team/app"],
      ["PUT", "/account/password"],
      ["POST", `/accounts/${name}/tokens`],
    ] as const) {
      const answer = await browse(cookie, method, `/api/v1${path}`, method === "GET" ? {} : { json: {} });
      // Everybody may search: whoever has no session finds what is public.
      const expected = path.startsWith("/search") ? 200 : 401;
      assert.equal(answer.status, expected, `${method} ${path}`);
      assert(!answer.text.includes('team/app"'), answer.text);
    }
    const json = (await browse(cookie, "GET", "/api/v1/session")).json<{ account: null }>();
    assert.equal(json.account, null);
  });
}

test("a session has the grants that its account has now", async () => {
  const { cookie } = await newSession("narrowed");
  await registry.must(200, "PUT", "/api/v1/accounts/narrowed", { as: admin, json: { grants: [] } });
  assert.equal((await browse(cookie, "GET", "/api/v1/repositories/team/app")).status, 403);
});

test("signing out removes the cookie", async () => {
  const { cookie } = await newSession("leaving");
  const answer = await browse(cookie, "DELETE", "/api/v1/session");
  assert.equal(answer.status, 204);
  assert.match(answer.headers.get("Set-Cookie") ?? "", /^stowage=; Path=\/; Max-Age=0;/);
});

test("a cookie that was changed or cut is nothing", async () => {
  const { cookie } = await newSession("forged");
  const [payload = "", signature = ""] = cookie.slice(cookie.indexOf("=") + 1).split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  const encoded = (changed: object) =>
    Buffer.from(JSON.stringify({ ...claims, ...changed })).toString("base64url");
  const values = [
    `${encoded({ account: "admin" })}.${signature}`,
    `${encoded({ endsAtMs: claims.endsAtMs + 1 })}.${signature}`,
    payload,
    `${payload}.`,
    `${payload}.${signature.slice(1)}`,
    `${payload}.${signature}.x`,
    ".",
    "",
  ];
  for (const value of values) {
    const answer = await browse(`stowage=${value}`, "GET", "/api/v1/repositories/team/app");
    assert.equal(answer.status, 401, value);
  }
});

test("a generated token signs in as itself: its session ends with it and manages no account", async () => {
  await registry.account("holder", grants);
  const { id, secret } = await registry.generateToken("holder", {
    grants: [{ repository: "team/app", verbs: ["pull"] }],
  });
  const cookie = cookieOf(await signIn("holder", secret));
  assert.equal((await browse(cookie, "GET", "/api/v1/repositories/team/app")).status, 200);
  assert.equal((await browse(cookie, "GET", "/api/v1/accounts/holder/tokens")).status, 403);
  const json = { current: secret, password: "the next password" };
  assert.equal((await browse(cookie, "PUT", "/api/v1/account/password", { json })).status, 403);
  await registry.must(204, "DELETE", `/api/v1/accounts/holder/tokens/${id}`, { as: admin });
  assert.equal((await browse(cookie, "GET", "/api/v1/repositories/team/app")).status, 401);
});

test("a session of a generated token says that it ends no later than that", async (t) => {
  afterTest(t, () => registry.advance(0));
  await registry.account("brief", grants);
  await registry.holdClock();
  const { secret } = await registry.generateToken("brief", { expiresInSeconds: 60 });
  const signedIn = await signIn("brief", secret);
  const cookie = cookieOf(signedIn);
  assert.match(signedIn.header("Set-Cookie"), /; Max-Age=60;/);
  const list = await registry.must(200, "GET", "/api/v1/accounts/brief/tokens", { as: admin });
  const [token] = list.json<{ tokens: { expiresAt: string }[] }>().tokens;
  const { endsAt } = (await browse(cookie, "GET", "/api/v1/session")).json<{ endsAt: string }>();
  assert.equal(endsAt, token?.expiresAt);
  await registry.advance(60_000);
  assert.equal((await browse(cookie, "GET", "/api/v1/repositories/team/app")).status, 401);
});

test("one's own password: the old one is needed, other sessions end, and this one goes on", async () => {
  const { cookie, password } = await newSession("changing");
  const other = cookieOf(await signIn("changing", password));
  const next = "the next long password";
  registry.secrets.add(next);
  const wrong = { current: "not the password", password: next };
  assert.equal((await browse(cookie, "PUT", "/api/v1/account/password", { json: wrong })).status, 403);
  const right = { current: password, password: next };
  const changed = await browse(cookie, "PUT", "/api/v1/account/password", { json: right });
  assert.equal(changed.status, 204, changed.text);
  assert.equal((await browse(other, "GET", "/api/v1/repositories/team/app")).status, 401);
  assert.equal((await browse(cookieOf(changed), "GET", "/api/v1/repositories/team/app")).status, 200);
  assert.equal((await signIn("changing", password)).status, 401);
  assert.equal((await signIn("changing", next)).status, 200);
});

test("the password of admin is changed by a deployment alone", async () => {
  const cookie = cookieOf(await signIn(admin.name, admin.password));
  const json = { current: admin.password, password: "the next long password" };
  assert.equal((await browse(cookie, "PUT", "/api/v1/account/password", { json })).status, 403);
});

test("wrong passwords count against the limits of failed logins", async () => {
  await registry.account("guessed", grants);
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 12; attempt++) statuses.push((await signIn("guessed", "a guess")).status);
  assert.equal(statuses[0], 401);
  assert.equal(statuses.at(-1), 429);
});

test("callers without a credential see public repositories, and nothing of others", async () => {
  await registry.as(admin).pushImage("open/app", "v1");
  await registry.setVisibility("open/app", "public");
  const open = await registry.send("GET", "/api/v1/repositories/open/app", { headers: ownPage });
  assert.equal(open.status, 200);
  const hidden = await registry.send("GET", "/api/v1/repositories/team/app", { headers: ownPage });
  const absent = await registry.send("GET", "/api/v1/repositories/team/none", { headers: ownPage });
  const said = (answer: Answer) => answer.text.replace(/"requestId":"[^"]*"/, "");
  assert.deepEqual([hidden.status, said(hidden)], [absent.status, said(absent)]);
  const change = await registry.send("PATCH", "/api/v1/repositories/open/app", {
    headers: ownPage,
    json: { visibility: "private" },
  });
  assert.equal(change.status, 401);
});

test("a session ends after twelve hours, whatever a browser keeps", async () => {
  const own = await startClosedRegistry();
  const json = { account: admin.name, password: admin.password };
  const signedIn = await own.must(200, "POST", "/api/v1/session", { json, headers: ownPage });
  const headers = { ...ownPage, Cookie: cookieOf(signedIn) };
  await own.must(200, "GET", "/api/v1/accounts", { headers });
  await own.advance(12 * 3_600_000);
  await own.must(401, "GET", "/api/v1/accounts", { headers });
});
