/** Tokens of other issuers: what their claims come to, and what becomes of pulls when an issuer is in trouble. */
import assert from "node:assert/strict";
import { request } from "node:http";
import test, { describe } from "node:test";
import { decodeJwt, exportJWK, generateKeyPair } from "jose";
import { expectError, expectProblem } from "../support/answer.ts";
import { admin, type ClosedRegistry, startClosedRegistry } from "../support/closed-registry.ts";
import { until } from "../support/registry.ts";
import { type Behaviour, type Issuer, makeKey, startIssuer } from "./support/issuer.ts";

const audience = "registry.example";
const minuteMs = 60_000;
/** Longer than any wait here, also on a machine that has much to do; shorter than a client's patience. */
const patienceMs = 30_000;

/** An issuer like those of continuous integration: it serves everybody, and says whose token it is. */
const ci = await startIssuer();
/** A token service that says itself what its tokens grant. */
const service = await startIssuer();
const pinnedKey = await makeKey("EdDSA");
const issuers = [
  {
    issuer: ci.url,
    audience,
    jwksUrl: ci.jwksUrl,
    repositories: ["acme/**", "mirror/*"],
    rules: [
      {
        owner: { repository_owner: "acme" },
        claims: { repository: "acme/*", ref: "refs/heads/main" },
        grants: [{ repository: "acme/**", verbs: ["pull", "push", "delete", "admin"] }],
      },
      {
        owner: { repository_owner: "acme", repository_id: "42" },
        grants: [
          { repository: "mirror/app", verbs: ["push"] },
          { repository: "beyond/app", verbs: ["push"] },
        ],
      },
    ],
  },
  {
    issuer: service.url,
    audience,
    jwksUrl: service.jwksUrl,
    repositories: ["served/**"],
    acceptAccess: true,
  },
  {
    issuer: "https://pinned.example",
    audience,
    keys: [pinnedKey.publicJwk],
    repositories: ["pinned/*"],
    acceptAccess: true,
  },
  {
    issuer: "https://pinned.example:8443",
    audience,
    keys: [pinnedKey.publicJwk],
    repositories: ["pinned/*"],
    acceptAccess: true,
  },
];
const registry = await startClosedRegistry({ TOKEN_ISSUERS: JSON.stringify(issuers) });
const owned = { repository_owner: "acme", repository: "acme/app", ref: "refs/heads/main" };

function grantsOf(token: string): string[] {
  const access = decodeJwt(token).access as { name: string; actions: string[] }[];
  return access.flatMap(({ name, actions }) => actions.map((action) => `${name}:${action}`));
}

const asked = ["acme/app", "acme/a/b", "mirror/app", "beyond/app", "other/app"].map(
  (name) => `repository:${name}:pull,push,delete,admin`,
);

describe("a token of continuous integration is exchanged for what its claims come to", () => {
  const main = ["acme/app", "acme/a/b"].flatMap((name) =>
    ["pull", "push", "delete"].map((verb) => `${name}:${verb}`),
  );
  const cases: [string, Record<string, unknown>, string[]][] = [
    ["the owner's, on the branch", owned, main],
    ["the owner's, by another rule too", { ...owned, repository_id: "42" }, [...main, "mirror/app:push"]],
    [
      "the owner's, by the other rule alone",
      { repository_owner: "acme", repository_id: "42" },
      ["mirror/app:push"],
    ],
    ["one with a number for a text", { ...owned, repository_id: 42 }, main],
  ];
  for (const [what, claims, expected] of cases) {
    test(what, async () => {
      const token = await ci.sign(claims);
      const issued = await registry
        .as({ name: "oidc", password: token })
        .askToken(asked, "&offline_token=true");
      assert.deepEqual(grantsOf(issued.token), expected);
      assert.equal(issued.refresh_token, undefined);
      assert.equal(decodeJwt(issued.token).sub, `oidc:${ci.url}:${claims.sub ?? "someone"}`);
    });
  }

  const unmatched: [string, Record<string, unknown>][] = [
    ["the owner's, on another branch", { ...owned, ref: "refs/heads/mine" }],
    ["the owner's, on a branch below", { ...owned, ref: "refs/heads/main/x" }],
    ["the owner's, without a branch", { ...owned, ref: undefined }],
    ["the owner's, by a repository below", { ...owned, repository: "acme/app/x" }],
    ["a stranger's", { ...owned, repository_owner: "mallory" }],
    ["a stranger's of a similar name", { ...owned, repository_owner: "acme-inc" }],
    ["a stranger's of another case", { ...owned, repository_owner: "ACME" }],
    ["a stranger's with a pattern for an owner", { ...owned, repository_owner: "*" }],
    ["a stranger's with a list of owners", { ...owned, repository_owner: ["acme"] }],
    ["a stranger's with the owner in the subject", { sub: "repo:acme/app:ref:refs/heads/main" }],
    [
      "one that says itself what it grants",
      { access: [{ type: "repository", name: "acme/app", actions: ["pull"] }] },
    ],
    ["one with claims as they are inherited", { constructor: "acme", __proto__: { ...owned } }],
  ];
  for (const [what, claims] of unmatched) {
    test(`but no rule matches ${what}, which is refused at the log-in`, async () => {
      const as = { name: "oidc", password: await ci.sign(claims) };
      for (const path of ["/token?service=stowage&scope=repository:acme/app:pull", "/v2/"]) {
        const refused = await registry.send("GET", path, { as });
        assert.match(String(expectError(refused, 401, "UNAUTHORIZED").detail), /no rule/);
      }
    });
  }

  test("and pushes and pulls by it, also by Basic", async () => {
    const password = await ci.sign(owned);
    const bearer = await registry.as({ name: "oidc", password }).bearer("repository:acme/app:pull,push");
    for (const as of [bearer, { name: "oidc", password }]) {
      const image = await registry.as(as).pushImage("acme/app", "v1");
      await registry.must(200, "GET", `/v2/acme/app/manifests/${image.digest}`, { as });
      const elsewhere = await registry.send("POST", "/v2/other/app/blobs/uploads/", { as });
      assert([401, 403].includes(elsewhere.status));
    }
    const form: [string, string][] = [
      ["grant_type", "password"],
      ["username", "oidc"],
      ["password", password],
      ["access_type", "offline"],
      ["scope", "repository:acme/app:pull"],
    ];
    const issued = await registry.must(200, "POST", "/token", { form });
    assert.equal(issued.json<{ refresh_token?: string }>().refresh_token, undefined);
  });

  test("is no bearer token itself", async () => {
    assert.equal((await registry.send("GET", "/v2/", { as: await ci.sign(owned) })).status, 401);
  });

  test("under no other user name", async () => {
    const password = await ci.sign(owned);
    for (const name of ["OIDC", "admin", "", "someone", `oidc:${ci.url}:someone`]) {
      assert.equal((await registry.send("GET", "/token", { as: { name, password } })).status, 401);
    }
  });

  test("and signs no browser in, which would need an account", async () => {
    const json = { account: "oidc", password: await ci.sign(owned) };
    const headers = { "Sec-Fetch-Site": "same-origin" };
    const refused = await registry.send("POST", "/api/v1/session", { json, headers });
    expectProblem(refused, 403, "DENIED");
    assert.equal(refused.headers.get("Set-Cookie"), null);
  });

  test("and ours ends no later than it", async () => {
    const exp = Math.floor(Date.now() / 1000) + 200;
    const issued = await registry
      .as({ name: "oidc", password: await ci.sign({ ...owned, exp }) })
      .askToken(asked);
    assert.equal(decodeJwt(issued.token).exp, exp);
    assert(issued.expires_in <= 200);
  });

  test("a mount reaches no further than the token", async () => {
    const config = (await registry.as(admin).pushImage("other/app", "v1")).config;
    const as = { name: "oidc", password: await ci.sign(owned) };
    await registry.must(202, "POST", `/v2/acme/app/blobs/uploads/?mount=${config}&from=other/app`, { as });
    await registry.must(202, "POST", `/v2/acme/app/blobs/uploads/?mount=${config}`, { as });
  });
});

describe("a token that says itself what it grants", () => {
  const access = [
    { type: "repository", name: "served/app", actions: ["pull", "push"] },
    { type: "repository", name: "beyond/app", actions: ["pull", "push"] },
  ];

  test("is taken as it is, within its issuer's reach", async () => {
    const as = await service.sign({ access });
    const image = await registry.as(as).pushImage("served/app", "v1");
    await registry.must(200, "GET", `/v2/served/app/manifests/${image.digest}`, { as });
    for (const [method, path] of [
      ["POST", "/v2/beyond/app/blobs/uploads/"],
      ["DELETE", "/v2/served/app/manifests/v1"],
      ["GET", "/v2/_catalog"],
      ["GET", "/api/v1/repositories"],
      ["GET", "/api/v1/accounts"],
    ] as const) {
      assert.equal((await registry.send(method, path, { as })).status, 401, path);
    }
    const list = await service.sign({
      access: [...access, { type: "registry", name: "catalog", actions: ["*"] }],
    });
    const listed = await registry.must(200, "GET", "/v2/_catalog", { as: list });
    assert.deepEqual(listed.json(), { repositories: ["served/app"] });
  });

  test("is looked up nowhere for a list, as it has no account here", async () => {
    const as = await service.sign({ access: [{ type: "registry", name: "catalog", actions: ["*"] }] });
    await registry.takeCalls();
    await registry.must(200, "GET", "/v2/_catalog", { as });
    assert.deepEqual(Object.keys(await registry.takeCalls()), ["CATALOG.listRepositories"]);
  });

  test("is taken no longer than it lasts", async () => {
    // Much sooner than TOKEN_TTL, for which it would be remembered otherwise.
    const token = await service.sign({ access, exp: Math.floor(Date.now() / 1000) + 100 });
    await registry.must(200, "GET", "/v2/", { as: token });
    await registry.advance(101_000);
    assert.equal((await registry.send("GET", "/v2/", { as: token })).status, 401);
    const login = { name: "oidc", password: token };
    assert.equal((await registry.send("GET", "/token", { as: login })).status, 401);
  });

  for (const alg of ["EdDSA", "ES256", "ES384", "RS256", "PS512"]) {
    test(`may be signed by ${alg}`, async () => {
      service.keys.unshift(await makeKey(alg));
      await registry.advance(minuteMs);
      const token = await service.sign({ access, exp: Date.now() / 1000 + 3600 });
      await registry.must(200, "GET", "/v2/", { as: token });
    });
  }

  test("may be signed by a key that was set here", async () => {
    const pinned = [{ type: "repository", name: "pinned/app", actions: ["pull"] }];
    const claims = { iss: "https://pinned.example", access: pinned, exp: Date.now() / 1000 + 3600 };
    const token = await service.sign(claims, { key: pinnedKey });
    assert.equal((await registry.send("GET", "/v2/pinned/app/tags/list", { as: token })).status, 404);
    const other = await service.sign(claims);
    assert.equal((await registry.send("GET", "/v2/pinned/app/tags/list", { as: other })).status, 401);
  });

  test("is refused if its subject would be named as one of another issuer", async () => {
    const pinned = [{ type: "repository", name: "pinned/app", actions: ["pull"] }];
    const shared = { access: pinned, exp: Date.now() / 1000 + 3600 };
    const statusOf = async (iss: string, sub: string) => {
      const token = await service.sign({ ...shared, iss, sub }, { key: pinnedKey });
      return (await registry.send("GET", "/v2/pinned/app/tags/list", { as: token })).status;
    };
    assert.equal(await statusOf("https://pinned.example:8443", "robot"), 404);
    assert.equal(await statusOf("https://pinned.example", "8443:robot"), 401);
    assert.equal(await statusOf("https://pinned.example", "8444:robot"), 404);
  });
});

describe("an issuer's keys", () => {
  /** A registry that has no keys yet of an issuer of its own. */
  async function fresh(): Promise<{ registry: ClosedRegistry; issuer: Issuer; sign: () => Promise<string> }> {
    const issuer = await startIssuer();
    const trusted = {
      issuer: issuer.url,
      audience,
      jwksUrl: issuer.jwksUrl,
      repositories: ["**"],
      acceptAccess: true,
    };
    const sign = () => issuer.sign({ access: [], exp: Math.floor(Date.now() / 1000) + 24 * 3600 });
    const registry = await startClosedRegistry({ TOKEN_ISSUERS: JSON.stringify([trusted]) });
    return { registry, issuer, sign };
  }

  const troubles: [what: string, behaviour: Behaviour, isMute?: boolean][] = [
    ["is down", "down"],
    ["does not answer", "silent", true],
    ["fails", (response) => response.writeHead(500).end("{}")],
    [
      "fails, and sends keys",
      (response) => response.writeHead(404).end(JSON.stringify({ keys: [pinnedKey.publicJwk] })),
    ],
    ["sends elsewhere", (response) => response.writeHead(302, { Location: ci.jwksUrl }).end()],
    ["sends no JSON", (response) => response.end("<html>")],
    ["sends a list", (response) => response.end("[]")],
    ["sends null", (response) => response.end("null")],
    ["sends no keys", (response) => response.end('{"keys":[]}')],
    ["sends keys that are none", (response) => response.end('{"keys":[1,null,"x"]}')],
    ["sends an object of keys", (response) => response.end('{"keys":{"length":1}}')],
    [
      "sends more than anybody needs",
      (response) => {
        const piece = " ".repeat(64 * 1024);
        const more = () => {
          while (!response.destroyed && response.write(piece));
          response.once("drain", more);
        };
        more();
      },
    ],
    ["begins, and goes no further", (response) => response.write('{"keys":'), true],
  ];

  test("serve on, whatever the issuer does when it is asked again", async () => {
    const { registry, issuer, sign } = await fresh();
    const token = await sign();
    await registry.must(200, "GET", "/v2/", { as: token });
    for (const [what, behaviour, isMute] of troubles) {
      issuer.behaviour = behaviour;
      await registry.hurry(isMute ? 10 : 1);
      const fetches = issuer.fetches;
      await registry.advance(11 * minuteMs);
      const started = performance.now();
      await registry.must(200, "GET", "/v2/", { as: token });
      await registry.must(200, "GET", "/v2/", { as: await sign() });
      assert.equal(issuer.fetches, fetches + 1, what);
      assert(performance.now() - started < patienceMs, what);
    }
    await registry.hurry(1);
    issuer.behaviour = "well";
    issuer.keys = [await makeKey()];
    await registry.advance(minuteMs);
    await registry.must(200, "GET", "/v2/", { as: await sign() });
  });

  test("that were never had make a token wait for better times, in bounded time", async () => {
    const { registry, issuer, sign } = await fresh();
    for (const [what, behaviour, isMute] of troubles) {
      issuer.behaviour = behaviour;
      await registry.hurry(isMute ? 10 : 1);
      const started = performance.now();
      const as = await sign();
      const answer = await registry.send("GET", "/v2/", { as });
      expectError(answer, 503, "UNAVAILABLE");
      assert.match(answer.header("Retry-After"), /^\d+$/);
      const login = await registry.send("GET", "/token", { as: { name: "oidc", password: as } });
      expectError(login, 503, "UNAVAILABLE");
      assert(performance.now() - started < patienceMs, what);
      await registry.advance(5000);
    }
    await registry.hurry(1);
    issuer.behaviour = "well";
    await registry.must(200, "GET", "/v2/", { as: await sign() });
  });

  test("are not asked for by each of many forged tokens", async () => {
    const { registry, issuer, sign } = await fresh();
    const stranger = await makeKey();
    const forge = () => issuer.sign({ access: [] }, { key: { ...stranger, kid: crypto.randomUUID() } });
    await registry.must(200, "GET", "/v2/", { as: await sign() });
    const started = performance.now();
    // One every two seconds, at most.
    const most = () => 2 + (performance.now() - started) / 2000;
    for (let i = 0; i < 20; i++) await registry.must(401, "GET", "/v2/", { as: await forge() });
    assert(issuer.fetches <= most(), `${issuer.fetches} fetches`);
    const down = await fresh();
    down.issuer.behaviour = "down";
    for (let i = 0; i < 20; i++) await down.registry.must(503, "GET", "/v2/", { as: await down.sign() });
    assert(down.issuer.fetches <= most(), `${down.issuer.fetches} fetches`);
    const login = { name: "oidc", password: await down.sign() };
    for (let i = 0; i < 15; i++) await down.registry.must(503, "GET", "/token", { as: login });
  });

  test("one of which is broken do not keep the others from working", async () => {
    const { registry, issuer, sign } = await fresh();
    const { publicKey } = await generateKeyPair("ES256", { extractable: true });
    const point = await exportJWK(publicKey);
    const [good] = issuer.keys;
    assert(good !== undefined);
    const broken = ["short", "points", "kind"];
    issuer.behaviour = (response) => {
      const keys = [
        good.publicJwk,
        { kty: "OKP", crv: "Ed25519", x: "AA", kid: "short", alg: "EdDSA" },
        { ...point, y: point.x, kid: "points", alg: "ES256" },
        { kty: "EC", crv: "P-999", kid: "kind", alg: "ES256" },
        { kty: "RSA", n: "AQAB", e: "AQAB", kid: "small", alg: "RS256" },
        { kty: "oct", k: "c2VjcmV0", kid: "shared", alg: "HS256" },
        {},
      ];
      response.end(JSON.stringify({ keys }));
    };
    await registry.must(200, "GET", "/v2/", { as: await sign() });
    for (const kid of broken) {
      for (const alg of ["EdDSA", "ES256", "RS256"]) {
        const key = await makeKey(alg, kid);
        await registry.must(401, "GET", "/v2/", { as: await issuer.sign({ access: [] }, { key }) });
      }
    }
  });

  test("change: new ones are taken at once, and old ones no longer than for minutes", async () => {
    const { registry, issuer, sign } = await fresh();
    const old = await sign();
    await registry.must(200, "GET", "/v2/", { as: old });
    await registry.advance(minuteMs);
    issuer.keys = [await makeKey()];
    await registry.must(200, "GET", "/v2/", { as: await sign() });
    await registry.must(200, "GET", "/v2/", { as: old });
    const unseen = await issuer.sign({ access: [] }, { key: await makeKey() });
    await registry.must(401, "GET", "/v2/", { as: unseen });
    await registry.advance(11 * minuteMs);
    await registry.must(401, "GET", "/v2/", { as: old });
  });

  test("are had by others, too, when the client that waited for them first is gone", async () => {
    const { registry, issuer, sign } = await fresh();
    const waiting: (() => void)[] = [];
    const well = JSON.stringify({ keys: issuer.keys.map((key) => key.publicJwk) });
    issuer.behaviour = (response) => waiting.push(() => response.end(well));
    const as = await sign();
    const first = request(`${registry.url}/v2/`, { headers: { Authorization: `Bearer ${as}` } });
    first.on("error", () => {});
    first.end();
    await until("the first fetch", () => issuer.fetches === 1);
    const second = registry.send("GET", "/v2/", { as });
    await until("the second fetch", () => issuer.fetches === 2);
    first.destroy();
    waiting[1]?.();
    assert.equal((await second).status, 200);

    await registry.advance(11 * minuteMs);
    const third = request(`${registry.url}/v2/`, { headers: { Authorization: `Bearer ${await sign()}` } });
    third.on("error", () => {});
    third.end();
    await until("the third fetch", () => issuer.fetches === 3);
    third.destroy();
    const started = performance.now();
    const later = await Promise.all(
      Array.from({ length: 5 }, async () => registry.send("GET", "/v2/", { as: await sign() })),
    );
    assert(later.every(({ status }) => status === 200));
    assert(performance.now() - started < patienceMs);
  });
});
