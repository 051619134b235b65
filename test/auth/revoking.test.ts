/** What was taken back: at once where somebody logs in, and everywhere once the tokens that are out have ended. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { decodeJwt } from "jose";
import type { Credential } from "../support/client.ts";
import { admin, type ClosedRegistry, startClosedRegistry } from "../support/closed-registry.ts";
import { afterTest } from "../support/ends.ts";
import { makeKey } from "./support/issuer.ts";

const registry = await startClosedRegistry();
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
const tokenTtlMs = 5 * 60_000;

function refresh(token: string, of: ClosedRegistry = registry) {
  const form: [string, string][] = [
    ["grant_type", "refresh_token"],
    ["refresh_token", token],
    ["scope", "repository:team/app:pull,push"],
  ];
  return of.send("POST", "/token", { form });
}

type Holder = { login: Credential; bearer: string; refreshToken: string; name: string; tokenId: string };

/** Somebody who holds everything there is to hold; logs in by password, or by a generated token. */
async function holder(name: string, by: "password" | "token"): Promise<Holder> {
  const account = await registry.account(name, grants);
  const made = await registry.generateToken(name);
  const login = by === "password" ? account : { name, password: made.secret };
  const issued = await registry.as(login).askToken(["repository:team/app:pull,push"], "&offline_token=true");
  const { refresh_token: refreshToken = "" } = issued;
  await registry.must(200, "GET", "/v2/_catalog", { as: login });
  assert.equal((await refresh(refreshToken)).status, 200);
  return { login, bearer: issued.token, refreshToken, name, tokenId: made.id };
}

const put = (name: string, json: object) =>
  registry.must(200, "PUT", `/api/v1/accounts/${name}`, { as: admin, json: { grants, ...json } });

async function list(as: Credential): Promise<string[]> {
  const answer = await registry.must(200, "GET", "/v2/_catalog", { as });
  return answer.json<{ repositories: string[] }>().repositories;
}

const taken: [string, "password" | "token", (holder: Holder) => Promise<unknown>][] = [
  ["a disabled account, by password", "password", ({ name }) => put(name, { disabled: true })],
  ["a disabled account, by generated token", "token", ({ name }) => put(name, { disabled: true })],
  [
    "a deleted account, by password",
    "password",
    ({ name }) => registry.must(204, "DELETE", `/api/v1/accounts/${name}`, { as: admin }),
  ],
  [
    "a deleted account, by generated token",
    "token",
    ({ name }) => registry.must(204, "DELETE", `/api/v1/accounts/${name}`, { as: admin }),
  ],
  [
    "a deleted account that was made again",
    "token",
    async ({ name }) => {
      await registry.must(204, "DELETE", `/api/v1/accounts/${name}`, { as: admin });
      await registry.account(name, grants);
    },
  ],
  ["a changed password", "password", ({ name }) => put(name, { password: "another long password" })],
  [
    "a deleted token",
    "token",
    ({ name, tokenId }) =>
      registry.must(204, "DELETE", `/api/v1/accounts/${name}/tokens/${tokenId}`, { as: admin }),
  ],
];

describe("opens nothing from then on", () => {
  for (const [index, [what, by, take]] of taken.entries()) {
    test(what, async () => {
      const held = await holder(`holder-${index}`, by);
      await take(held);
      for (const path of [
        "/token",
        "/v2/",
        "/v2/team/app/tags/list",
        "/v2/_catalog",
        "/api/v1/repositories",
      ]) {
        await registry.must(401, "GET", path, { as: held.login });
      }
      await registry.must(401, "POST", "/v2/team/app/blobs/uploads/", { as: held.login });
      assert.equal((await refresh(held.refreshToken)).status, 401);
      await registry.must(200, "GET", "/v2/", { as: held.bearer });
      await registry.advance(tokenTtlMs);
      await registry.must(401, "GET", "/v2/", { as: held.bearer });
      await registry.must(401, "POST", "/v2/team/app/blobs/uploads/", { as: held.bearer });
    });
  }
});

test("a token that has run out opens nothing", async (t) => {
  afterTest(t, () => registry.advance(0));
  const login = await registry.account("brief", grants);
  await registry.holdClock();
  const { secret } = await registry.generateToken("brief", { expiresInSeconds: 60 });
  const as = { name: "brief", password: secret };
  const issued = await registry.as(as).askToken(["repository:team/app:push"], "&offline_token=true");
  assert(issued.expires_in <= 60);
  for (const token of [issued.token, issued.refresh_token ?? ""]) {
    const { iat = 0, exp = 0 } = decodeJwt(token);
    assert.equal(exp - iat, 60);
  }
  await registry.advance(60_000);
  for (const shown of [as, secret, issued.token]) await registry.must(401, "GET", "/v2/", { as: shown });
  assert.equal((await refresh(issued.refresh_token ?? "")).status, 401);
  await registry.must(200, "GET", "/v2/", { as: login });
});

test("a change of password ends neither generated tokens nor what they refresh", async () => {
  const held = await holder("changing", "token");
  await put("changing", { password: "another long password" });
  await registry.must(200, "GET", "/v2/", { as: held.login });
  assert.equal((await refresh(held.refreshToken)).status, 200);
});

test("a change of anything but the password ends nothing", async () => {
  const held = await holder("steady", "password");
  await put("steady", {});
  await registry.must(200, "GET", "/v2/", { as: held.login });
  assert.equal((await refresh(held.refreshToken)).status, 200);
});

describe("what was issued for a password stays ended", () => {
  const remove = (name: string) => registry.must(204, "DELETE", `/api/v1/accounts/${name}`, { as: admin });
  const cases: [string, (name: string, password: string) => Promise<unknown>][] = [
    [
      "of an account that was disabled, and is enabled again",
      async (name) => {
        await put(name, { disabled: true });
        await put(name, {});
      },
    ],
    [
      "of an account that was deleted, and made anew",
      async (name, password) => {
        await remove(name);
        await registry.must(201, "PUT", `/api/v1/accounts/${name}`, {
          as: admin,
          json: { password, grants },
        });
      },
    ],
    ["of an account that was given the same password again", (name, password) => put(name, { password })],
  ];
  for (const [index, [what, change]] of cases.entries()) {
    test(what, async (t) => {
      const name = `ended-${index}`;
      afterTest(t, () => registry.advance(0));
      const login = await registry.account(name, grants);
      const issued = await registry.as(login).askToken(["registry:catalog:*"], "&offline_token=true");
      await registry.holdClock();
      await change(name, login.password);
      await registry.must(200, "GET", "/v2/", { as: login });
      assert.equal((await refresh(issued.refresh_token ?? "")).status, 401);
    });
  }

  test("so that it lists nothing of an account that was made anew", async () => {
    await registry.as(admin).pushImage("team/listed", "v1");
    const first = await registry.as(await registry.account("lister", [])).bearer("registry:catalog:*");
    await remove("lister");
    const second = await registry.as(await registry.account("lister", grants)).bearer("registry:catalog:*");
    for (const [as, isShown] of [
      [second, true],
      [first, false],
    ] as const) {
      assert.equal((await list(as)).includes("team/listed"), isShown);
    }
  });
});

test("a narrowed grant is narrow at once wherever somebody logs in", async () => {
  for (const by of ["password", "token"] as const) {
    const held = await holder(`narrow-${by}`, by);
    await put(held.name, { grants: [{ repository: "team/app", verbs: ["pull"] }] });
    const refused = await registry.send("POST", "/v2/team/app/blobs/uploads/", { as: held.login });
    assert.equal(refused.status, 403);
    for (const answer of [
      await registry.must(200, "GET", "/token?scope=repository:team/app:pull,push", { as: held.login }),
      await refresh(held.refreshToken),
    ]) {
      assert.equal(answer.json<{ scope: string }>().scope, "repository:team/app:pull");
    }
    await registry.must(202, "POST", "/v2/team/app/blobs/uploads/", { as: held.bearer });
    await registry.advance(tokenTtlMs);
    await registry.must(401, "POST", "/v2/team/app/blobs/uploads/", { as: held.bearer });
  }
});

test("a narrowed grant narrows its tokens, which were wider", async () => {
  await registry.account("wide", grants);
  const { secret } = await registry.generateToken("wide", {
    grants: [{ repository: "**", verbs: ["pull", "push", "delete", "admin"] }],
  });
  const as = { name: "wide", password: secret };
  await registry.must(202, "POST", "/v2/team/app/blobs/uploads/", { as });
  await registry.must(403, "POST", "/v2/other/app/blobs/uploads/", { as });
  await registry.must(403, "GET", "/api/v1/accounts", { as });
  await put("wide", { grants: [] });
  await registry.must(403, "POST", "/v2/team/app/blobs/uploads/", { as });
});

describe("lists of repositories", () => {
  test("have what was taken back for a minute, by the tokens that are out", async () => {
    await registry.as(admin).pushImage("team/kept", "v1");
    const as = await registry.as(await registry.account("reader", grants)).bearer("registry:catalog:*");
    assert((await list(as)).includes("team/kept"));
    await put("reader", { grants: [] });
    await registry.advance(60_000);
    assert.deepEqual(await list(as), []);
  });

  test("have by a token of an earlier release what its generated token may, not another of the account", async () => {
    await registry.as(admin).pushImage("team/kept", "v1");
    await registry.account("earlier", grants);
    for (const [repository, isShown] of [
      ["team/**", true],
      ["team/none", false],
    ] as const) {
      const json = { grants: [{ repository, verbs: ["pull"] }] };
      const { secret } = await registry.generateToken("earlier", json);
      const issued = await registry.as({ name: "earlier", password: secret }).bearer("registry:catalog:*");
      const as = await registry.signAsRegistry({ ...decodeJwt(issued), ver: undefined });
      assert.equal((await list(as)).includes("team/kept"), isShown);
    }
  });
});

test("what was issued for a generated token is nobody else's", async () => {
  const [one, other] = [await holder("one", "token"), await holder("another", "password")];
  const claims = decodeJwt(one.refreshToken);
  for (const [sub, status] of [
    [one.name, 200],
    [other.name, 401],
    ["admin", 401],
  ] as const) {
    const token = await registry.signAsRegistry({ ...claims, sub }, "rt+jwt");
    assert.equal((await refresh(token)).status, status, sub);
  }
});

test("where no ADMIN_PASSWORD is set any more nobody is admin, by a password or what was issued before", async () => {
  const { publicJwk } = await makeKey();
  const issuer = { issuer: "https://issuer.example", audience: "registry.example", keys: [publicJwk] };
  const issuers = [{ ...issuer, repositories: ["team/**"], acceptAccess: true }];
  const own = await startClosedRegistry({ TOKEN_ISSUERS: JSON.stringify(issuers) }, { hasAdmin: false });
  const { secret } = await own.generateToken("admin");
  const { refresh_token: token = "" } = await own.as(admin).askToken([], "&offline_token=true");
  const byToken = { name: "admin", password: secret };
  await own.must(200, "GET", "/v2/", { as: byToken });
  await own.deployWith("ADMIN_PASSWORD", "");
  for (const as of [admin, byToken, secret, { name: "admin", password: "" }]) {
    for (const path of ["/v2/", "/api/v1/accounts"]) await own.must(401, "GET", path, { as });
  }
  assert.equal((await refresh(token, own)).status, 401);
  await own.deployWith("ADMIN_PASSWORD", admin.password);
  for (const as of [admin, byToken, secret]) await own.must(200, "GET", "/v2/", { as });
  assert.equal((await refresh(token, own)).status, 200);
});

test("a repository made private again is closed to nobody's tokens once they have ended", async () => {
  await registry.as(admin).pushImage("open/app", "v1");
  await registry.setVisibility("open/app", "public");
  const token = await registry.bearer("repository:open/app:pull");
  await registry.must(200, "GET", "/v2/open/app/manifests/v1", { as: token });
  await registry.must(200, "GET", "/v2/open/app/manifests/v1");
  await registry.setVisibility("open/app", "private");
  await registry.must(401, "GET", "/v2/open/app/manifests/v1");
  const next = await registry.bearer("repository:open/app:pull");
  await registry.must(401, "GET", "/v2/open/app/manifests/v1", { as: next });
  await registry.advance(tokenTtlMs);
  await registry.must(401, "GET", "/v2/open/app/manifests/v1", { as: token });
});

test("a refresh token is refused after REFRESH_TTL", async () => {
  const { refresh_token: token = "" } = await registry.as(admin).askToken([], "&offline_token=true");
  assert.equal((await refresh(token)).status, 200);
  await registry.advance(30 * 86_400_000);
  assert.equal((await refresh(token)).status, 401);
});

test("old keys are kept as long as what they signed", async () => {
  const lasting = await startClosedRegistry({ REFRESH_TTL: "90d" });
  const { refresh_token: token = "" } = await lasting.as(admin).askToken([], "&offline_token=true");
  await lasting.advance(89 * 86_400_000);
  await lasting.must(200, "POST", "/api/v1/keys/rotate", { as: admin });
  assert.equal((await refresh(token, lasting)).status, 200);
  await lasting.advance(40 * 86_400_000);
  const rotated = await lasting.must(200, "POST", "/api/v1/keys/rotate", { as: admin });
  const { verifying } = rotated.json<{ verifying: string[] }>();
  assert.equal(verifying.length, 2);
});
