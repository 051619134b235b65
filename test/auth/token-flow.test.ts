/** How tokens are got, and what they say. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { expectError } from "../support/answer.ts";
import { basic, type TokenAnswer } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";

const registry = await startClosedRegistry();
const forwarding = await startClosedRegistry({
  TRUST_FORWARDED: "yes",
  AUTH_SERVICE: "images.example",
  TOKEN_TTL: "90s",
});
const alice = await registry.account("alice", [
  { repository: "team/*", verbs: ["pull", "push"] },
  { repository: "shared/**", verbs: ["pull"] },
]);
await registry.as(admin).pushImage("open/app", "v1");
await registry.setVisibility("open/app", "public");

type Access = { type: string; name: string; actions: string[]; denied?: string[]; registered?: boolean };

function accessOf(token: string): Access[] {
  return decodeJwt(token).access as Access[];
}

describe("/token", () => {
  test("answers as Docker's specification has it", async () => {
    const before = Date.now();
    const path =
      "/token?service=stowage&client_id=test&account=alice&scope=repository:team/app:pull,push&offline_token=true";
    const answer = await registry.must(200, "GET", path, { as: alice });
    assert.equal(answer.header("Content-Type"), "application/json");
    assert.match(answer.header("Cache-Control"), /^no-store/);
    const issued = answer.json<TokenAnswer>();
    for (const secret of [issued.token, issued.refresh_token ?? ""]) registry.secrets.add(secret);
    assert.deepEqual(Object.keys(issued).sort(), [
      "access_token",
      "expires_in",
      "issued_at",
      "refresh_token",
      "scope",
      "token",
      "token_type",
    ]);
    assert.equal(issued.token, issued.access_token);
    assert.equal(issued.expires_in, 300);
    assert.equal(issued.scope, "repository:team/app:pull,push");
    assert(Math.abs(Date.parse(issued.issued_at) - before) < 60_000);
    assert.match(issued.issued_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("issues tokens that say this and nothing else", async () => {
    const { token } = await registry.as(alice).askToken(["repository:team/app:pull"]);
    const { kid, ...header } = decodeProtectedHeader(token);
    assert.deepEqual(header, { alg: "EdDSA", typ: "at+jwt" });
    assert.match(String(kid), /^[0-9a-f-]{36}$/);
    const { iat = 0, jti, ver, ...claims } = decodeJwt(token);
    assert.deepEqual(claims, {
      iss: "stowage",
      aud: "stowage",
      sub: "alice",
      nbf: iat,
      exp: iat + 300,
      access: [{ type: "repository", name: "team/app", actions: ["pull"] }],
    });
    assert(Math.abs(iat - Date.now() / 1000) < 60);
    assert.match(String(ver), /^\d+$/);
    assert.match(String(jti), /^[0-9a-f-]{36}$/);
    assert.notEqual(jti, decodeJwt((await registry.as(alice).askToken([])).token).jti);
    const other = decodeJwt((await forwarding.as(admin).askToken([])).token);
    assert.deepEqual(
      [other.iss, other.aud, Number(other.exp) - Number(other.iat)],
      ["images.example", "images.example", 90],
    );
  });

  const cases: [string, string[], Access[]][] = [
    ["nothing", [], []],
    [
      "what is allowed",
      ["repository:team/app:pull,push"],
      [{ type: "repository", name: "team/app", actions: ["pull", "push"] }],
    ],
    [
      "too much",
      ["repository:team/app:pull,push,delete"],
      [{ type: "repository", name: "team/app", actions: ["pull", "push"], denied: ["delete"] }],
    ],
    [
      "everything",
      ["repository:team/app:*"],
      [{ type: "repository", name: "team/app", actions: ["pull", "push"], denied: ["delete", "admin"] }],
    ],
    [
      "what is public",
      ["repository:open/app:pull,push"],
      [{ type: "repository", name: "open/app", actions: ["pull"], denied: ["push"], registered: true }],
    ],
    [
      "what is not allowed at all",
      ["repository:other/app:pull"],
      [{ type: "repository", name: "other/app", actions: [], denied: ["pull"] }],
    ],
    [
      "several at once",
      ["repository:team/app:push", "repository:shared/a/b:pull"],
      [
        { type: "repository", name: "team/app", actions: ["push"] },
        { type: "repository", name: "shared/a/b", actions: ["pull"] },
      ],
    ],
    [
      "several in one text",
      ["repository:team/app:push repository:shared/a/b:pull"],
      [
        { type: "repository", name: "team/app", actions: ["push"] },
        { type: "repository", name: "shared/a/b", actions: ["pull"] },
      ],
    ],
    ["another type", ["artifact:team/app:pull", "registry:team/app:pull"], []],
    ["the list", ["registry:catalog:*"], [{ type: "registry", name: "catalog", actions: ["*"] }]],
    [
      "a plugin",
      ["repository(plugin):team/app:pull"],
      [{ type: "repository", name: "team/app", actions: ["pull"] }],
    ],
  ];
  for (const [what, scopes, access] of cases) {
    test(`asked for ${what}, grants what is asked for and allowed`, async () => {
      assert.deepEqual(accessOf((await registry.as(alice).askToken(scopes)).token), access);
      const form: [string, string][] = [
        ["grant_type", "password"],
        ["username", alice.name],
        ["password", alice.password],
        ["service", "stowage"],
        ["client_id", "test"],
        ...scopes.map((scope): [string, string] => ["scope", scope]),
      ];
      const answer = await registry.must(200, "POST", "/token", { form });
      assert.deepEqual(accessOf(answer.json<TokenAnswer>().access_token), access);
    });
  }

  test("lets nobody in particular pull what is public, and nothing else", async () => {
    const { token, refresh_token: refresh } = await registry.askToken(
      ["repository:open/app:pull,push repository:team/app:pull"],
      "&offline_token=true",
    );
    assert.equal(refresh, undefined);
    assert.equal(decodeJwt(token).sub, "");
    await registry.must(200, "GET", "/v2/", { as: token });
    await registry.must(200, "GET", "/v2/open/app/manifests/v1", { as: token });
    await registry.must(200, "GET", "/v2/open/app/manifests/v1");
    assert.equal((await registry.send("POST", "/v2/open/app/blobs/uploads/", { as: token })).status, 401);
    assert.equal((await registry.send("GET", "/v2/team/app/tags/list", { as: token })).status, 401);
    expectError(await registry.send("GET", "/v2/"), 401, "UNAUTHORIZED");
  });

  const refused: [string, [string, string][]][] = [
    ["no grant type", []],
    ["another grant type", [["grant_type", "client_credentials"]]],
    ["another spelling", [["grant_type", "PASSWORD"]]],
  ];
  for (const [what, form] of refused) {
    test(`refuses ${what}`, async () => {
      expectError(await registry.send("POST", "/token", { form }), 400, "UNSUPPORTED");
    });
  }

  const wrong: [string, [string, string][]][] = [
    [
      "a wrong password",
      [
        ["grant_type", "password"],
        ["username", "alice"],
        ["password", "no"],
      ],
    ],
    [
      "an unknown account",
      [
        ["grant_type", "password"],
        ["username", "nobody"],
        ["password", "no"],
      ],
    ],
    [
      "no name",
      [
        ["grant_type", "password"],
        ["password", alice.password],
      ],
    ],
    [
      "no password",
      [
        ["grant_type", "password"],
        ["username", "alice"],
      ],
    ],
    ["no refresh token", [["grant_type", "refresh_token"]]],
    [
      "a password for a refresh token",
      [
        ["grant_type", "refresh_token"],
        ["refresh_token", alice.password],
      ],
    ],
  ];
  for (const [what, form] of wrong) {
    test(`lets nobody in by ${what}`, async () => {
      const answer = await registry.send("POST", "/token", { form });
      expectError(answer, 401, "UNAUTHORIZED");
      assert.equal(answer.header("WWW-Authenticate"), 'Basic realm="stowage", charset="UTF-8"');
    });
  }

  test("refuses wrong credentials as such, whichever part of them is wrong", async () => {
    const answers = await Promise.all(
      [
        basic("alice", "wrong"),
        basic("nobody", alice.password),
        "Basic !",
        "Bearer x",
        basic("alice", alice.password).replace("Basic", "Bearer"),
      ].map((Authorization) =>
        registry.send("GET", "/token?scope=repository:open/app:pull", { headers: { Authorization } }),
      ),
    );
    for (const answer of answers) expectError(answer, 401, "UNAUTHORIZED");
    assert.equal(answers[0]?.text, answers[1]?.text);
  });

  test("takes other methods for what they are not", async () => {
    for (const method of ["PUT", "DELETE", "PATCH"]) {
      assert.equal((await registry.must(405, method, "/token")).header("Allow"), "GET, HEAD, POST");
    }
  });
});

describe("a refresh token", () => {
  const refresh = (token: string, ...scopes: string[]) =>
    registry.send("POST", "/token", {
      form: [
        ["grant_type", "refresh_token"],
        ["refresh_token", token],
        ["service", "stowage"],
        ...scopes.map((scope): [string, string] => ["scope", scope]),
      ],
    });

  test("is got with GET or POST, and gets tokens", async () => {
    const byGet = (await registry.as(alice).askToken([], "&offline_token=true")).refresh_token ?? "";
    const form: [string, string][] = [
      ["grant_type", "password"],
      ["username", alice.name],
      ["password", alice.password],
      ["access_type", "offline"],
    ];
    const byPost =
      (await registry.must(200, "POST", "/token", { form })).json<TokenAnswer>().refresh_token ?? "";
    for (const token of [byGet, byPost]) {
      registry.secrets.add(token);
      assert.equal(decodeProtectedHeader(token).typ, "rt+jwt");
      const { access, ver, exp, iat, sub } = decodeJwt(token);
      assert.deepEqual(
        [access, typeof ver, Number(exp) - Number(iat), sub],
        [undefined, "string", 30 * 86400, "alice"],
      );
      const answer = await refresh(token, "repository:team/app:pull,push,delete");
      assert.equal(answer.status, 200, answer.text);
      const issued = answer.json<TokenAnswer>();
      assert.equal(issued.refresh_token, token);
      assert.equal(issued.scope, "repository:team/app:pull,push");
      assert.deepEqual(accessOf(issued.access_token)[0]?.actions, ["pull", "push"]);
    }
  });

  test("is given to nobody who did not ask for one", async () => {
    for (const more of ["", "&offline_token=false", "&offline_token=1"]) {
      assert.equal((await registry.as(alice).askToken([], more)).refresh_token, undefined);
    }
  });

  test("is no bearer token, and a bearer token is none", async () => {
    const issued = await registry.as(alice).askToken(["repository:team/app:pull"], "&offline_token=true");
    for (const target of ["/v2/", "/v2/team/app/tags/list"]) {
      assert.equal((await registry.send("GET", target, { as: issued.refresh_token })).status, 401);
    }
    expectError(await refresh(issued.token), 401, "UNAUTHORIZED");
    const asPassword = { name: "alice", password: issued.token };
    assert.equal((await registry.send("GET", "/token", { as: asPassword })).status, 401);
  });
});

describe("keys", () => {
  test("are published, and verify the registry's tokens with any library", async () => {
    const { token } = await registry.as(alice).askToken(["repository:team/app:pull"]);
    const keys = createRemoteJWKSet(new URL(`${registry.url}/.well-known/jwks.json`));
    const { payload } = await jwtVerify(token, keys, {
      issuer: "stowage",
      audience: "stowage",
      typ: "at+jwt",
    });
    assert.equal(payload.sub, "alice");
    const answer = await registry.must(200, "GET", "/.well-known/jwks.json");
    assert.match(answer.header("Cache-Control"), /^public, max-age=\d+/);
    for (const key of answer.json<{ keys: Record<string, unknown>[] }>().keys) {
      assert.deepEqual(Object.keys(key).sort(), ["alg", "crv", "kid", "kty", "use", "x"]);
    }
    const others = createLocalJWKSet((await forwarding.must(200, "GET", "/.well-known/jwks.json")).json());
    await assert.rejects(jwtVerify(token, others));
  });

  test("change without breaking the tokens that are out", async () => {
    const before = await registry.as(alice).askToken(["registry:catalog:*"], "&offline_token=true");
    const rotated = await registry.must(200, "POST", "/api/v1/keys/rotate", { as: admin });
    const { signing, verifying } = rotated.json<{ signing: string; verifying: string[] }>();
    const after = await registry.as(alice).askToken(["registry:catalog:*"]);
    assert.equal(decodeProtectedHeader(after.token).kid, signing);
    assert.deepEqual(verifying, [signing, decodeProtectedHeader(before.token).kid]);
    for (const { token } of [before, after]) await registry.must(200, "GET", "/v2/_catalog", { as: token });
    const form: [string, string][] = [
      ["grant_type", "refresh_token"],
      ["refresh_token", before.refresh_token ?? ""],
    ];
    await registry.must(200, "POST", "/token", { form });
    const published = await registry.must(200, "GET", "/.well-known/jwks.json");
    const kids = published.json<{ keys: { kid: string }[] }>().keys.map(({ kid }) => kid);
    assert.deepEqual(kids, verifying);
  });

  test("are the same after the catalog lost its memory", async () => {
    const { token } = await registry.as(alice).askToken([]);
    await registry.instance.miniflare.unsafeEvictDurableObject("stowage", "Catalog", { name: "catalog" });
    await registry.must(200, "GET", "/v2/", { as: token });
    const kid = decodeProtectedHeader((await registry.as(alice).askToken([])).token).kid;
    assert.equal(kid, decodeProtectedHeader(token).kid);
  });
});
