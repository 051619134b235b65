/** Bearer tokens that nobody issued, or that say something else than what was issued. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test, { describe } from "node:test";
import { exportJWK, exportSPKI, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";
import { expectError } from "../support/answer.ts";
import { basic } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { exchange, head as rawHead } from "../support/raw.ts";
import { makeKey, startIssuer } from "./support/issuer.ts";

const issuer = await startIssuer();
const trusted = {
  issuer: issuer.url,
  audience: "registry.example",
  jwksUrl: issuer.jwksUrl,
  repositories: ["outside/**"],
  acceptAccess: true,
};
const registry = await startClosedRegistry({ TOKEN_ISSUERS: JSON.stringify([trusted]) });
const image = await registry.as(admin).pushImage("team/app", "v1");
const path = `/v2/team/app/manifests/${image.digest}`;
const alice = await registry.account("alice", [{ repository: "team/**", verbs: ["pull", "push"] }]);
const genuine = await registry.as(alice).bearer("repository:team/app:pull,push");
const refresh = (await registry.as(alice).askToken([], "&offline_token=true")).refresh_token ?? "";
const [headerPart = "", payloadPart = "", signaturePart = ""] = genuine.split(".");
const header = decode(headerPart);
const payload = decode(payloadPart);
const jwks = await registry.must(200, "GET", "/.well-known/jwks.json");
const [publicJwk] = jwks.json<{ keys: [JWK] }>().keys;
const publicKey = (await importJWK({ ...publicJwk, ext: true }, "EdDSA")) as CryptoKey;
const spki = await exportSPKI(publicKey);
const own = await generateKeyPair("EdDSA", { extractable: true });
const ownPublic = await exportJWK(own.publicKey);

function decode(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, "base64url").toString());
}

function encode(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

function unsigned(more: object, claims: object = {}): string {
  return `${encode({ ...header, ...more })}.${encode({ ...payload, ...claims })}.`;
}

function hmac(key: string | Uint8Array, more: object = {}): string {
  const text = `${encode({ ...header, alg: "HS256", ...more })}.${payloadPart}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}

function byOwnKey(more: Record<string, unknown> = {}, claims: object = {}): Promise<string> {
  return new SignJWT({ ...payload, ...claims })
    .setProtectedHeader({ alg: "EdDSA", kid: String(header.kid), typ: "at+jwt", ...more })
    .sign(own.privateKey, { crit: { "urn:test": true } });
}

const everything = [{ type: "repository", name: "team/app", actions: ["*"] }];
const kids: unknown[] = [
  "",
  "unknown",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "' OR 1=1 --",
  "https://evil.example/keys",
  "\u0000",
  "x".repeat(8000),
  1,
  null,
  true,
  {},
  [header.kid],
];

const forged: Record<string, string | Promise<string>> = {
  "nothing at all": "",
  "a word": "token",
  dots: "...",
  "two parts": `${headerPart}.${payloadPart}`,
  "an empty signature": `${headerPart}.${payloadPart}.`,
  "a part too many": `${genuine}.x`,
  "five parts, as if encrypted": `${genuine}.${headerPart}.${payloadPart}`,
  "parts out of order": `${payloadPart}.${headerPart}.${signaturePart}`,
  "a bit of the signature turned": `${headerPart}.${payloadPart}.${signaturePart.slice(0, -4)}AAAA`,
  "other claims under the signature": `${headerPart}.${encode({ ...payload, access: everything })}.${signaturePart}`,
  "another subject under the signature": `${headerPart}.${encode({ ...payload, sub: "admin" })}.${signaturePart}`,
  "a later end under the signature": `${headerPart}.${encode({ ...payload, exp: 4e9 })}.${signaturePart}`,
  "another header under the signature": `${encode({ ...header, typ: "rt+jwt" })}.${payloadPart}.${signaturePart}`,
  "claims that are no JSON": `${headerPart}.${encode("{")}.${signaturePart}`,
  "claims that are a list": `${headerPart}.${encode([])}.${signaturePart}`,
  "claims that are null": `${headerPart}.${encode("null")}.${signaturePart}`,
  "a header that is no JSON": `${encode("{")}.${payloadPart}.${signaturePart}`,
  "a header that is a text": `${encode('"EdDSA"')}.${payloadPart}.${signaturePart}`,
  "deep JSON": `${encode(`${"[".repeat(3000)}${"]".repeat(3000)}`)}.${payloadPart}.${signaturePart}`,
  "characters outside of base64": `${headerPart}.${payloadPart}.${signaturePart.slice(0, -1)}!`,
  "no algorithm": unsigned({ alg: "none" }),
  "no algorithm, in capitals": unsigned({ alg: "NONE" }),
  "no algorithm, with the signature": `${encode({ ...header, alg: "none" })}.${payloadPart}.${signaturePart}`,
  "an algorithm that is a list": unsigned({ alg: ["EdDSA"] }),
  "an algorithm that is not there": unsigned({ alg: undefined }),
  "HS256 under the public key as PEM": hmac(spki),
  "HS256 under the public key as JWK": hmac(JSON.stringify(publicJwk)),
  "HS256 under the raw public key": hmac(Buffer.from(publicJwk.x ?? "", "base64url")),
  "HS256 under nothing": hmac(""),
  "another key under our name": byOwnKey(),
  "a key in the header": byOwnKey({ jwk: ownPublic }),
  "a key in the header alone": byOwnKey({ jwk: ownPublic, kid: undefined }),
  "a key elsewhere": byOwnKey({ jku: issuer.jwksUrl, kid: "theirs" }),
  "a certificate": byOwnKey({ x5c: ["MIIB"], x5u: issuer.jwksUrl, x5t: "abc" }),
  "a critical extension": byOwnKey({ crit: ["urn:test"], "urn:test": 1 }),
  "an unencoded payload": `${encode({ ...header, b64: false, crit: ["b64"] })}.${payloadPart}.${signaturePart}`,
  "a refresh token": refresh,
  "the issuer's key, in our name": issuer.sign(
    { ...payload, access: everything },
    { header: { typ: "at+jwt" } },
  ),
  "an issuer that nobody trusts": issuer.sign({ iss: "https://stranger.example", access: everything }),
  "an issuer that is a list": byOwnKey({}, { iss: [issuer.url] }),
  kilobytes: `${headerPart}.${encode({ ...payload, padding: "x".repeat(10_000) })}.${signaturePart}`,
  "a generated token with another checksum": `stw_${"A".repeat(49)}`,
  "a generated token of one character": "stw_A",
  ...Object.fromEntries(
    kids.map((kid) => [`the key ${JSON.stringify(kid).slice(0, 40)}`, byOwnKey({ kid })]),
  ),
};

describe("forged tokens open nothing, wherever they are shown", () => {
  for (const [what, token] of Object.entries(forged)) {
    test(what, async () => {
      const shown = await token;
      const headers = { Authorization: `Bearer ${shown}` };
      for (const [method, target] of [
        ["GET", path],
        ["GET", "/v2/"],
        ["POST", "/v2/team/app/blobs/uploads/"],
        ["GET", "/v2/team/app/blobs/uploads/x"],
        ["GET", "/api/v1/accounts"],
        ["GET", "/metrics"],
      ] as const) {
        const answer = await registry.send(method, target, { headers });
        assert.equal(answer.status, 401, `${method} ${target}: ${answer.text}`);
      }
      const form: [string, string][] = [
        ["grant_type", "refresh_token"],
        ["refresh_token", shown],
      ];
      if (shown !== refresh) {
        expectError(await registry.send("POST", "/token", { form }), 401, "UNAUTHORIZED");
      }
      const asPassword = { name: "oidc", password: shown };
      const address = { "CF-Connecting-IP": crypto.randomUUID() };
      expectError(
        await registry.send("GET", "/token", { as: asPassword, headers: address }),
        401,
        "UNAUTHORIZED",
      );
    });
  }
});

describe("a trusted issuer's tokens are refused when they are out of order", () => {
  const now = Math.floor(Date.now() / 1000);
  const access = [{ type: "repository", name: "outside/app", actions: ["pull", "push"] }];
  const refused: [string, () => Promise<string>][] = [
    ["another audience", () => issuer.sign({ access, aud: "another.example" })],
    ["no audience", () => issuer.sign({ access, aud: undefined })],
    ["no subject", () => issuer.sign({ access, sub: undefined })],
    ["a subject that is an object", () => issuer.sign({ access, sub: { a: 1 } })],
    ["a subject of kilobytes", () => issuer.sign({ access, sub: "s".repeat(2000) })],
    ["no end", () => issuer.sign({ access, exp: undefined })],
    ["an end long past", () => issuer.sign({ access, exp: now - 3600 })],
    ["an end just past", () => issuer.sign({ access, exp: now - 2 })],
    ["a negative end", () => issuer.sign({ access, exp: -1 })],
    ["an end of zero", () => issuer.sign({ access, exp: 0 })],
    ["an end that is a text", () => issuer.sign({ access, exp: "9999999999" })],
    ["an end that is null", () => issuer.sign({ access, exp: null })],
    ["a beginning to come", () => issuer.sign({ access, nbf: now + 3600 })],
    ["a key it does not publish", async () => issuer.sign({ access }, { key: await makeKey() })],
    [
      "another's key under its name",
      async () => {
        const key = await makeKey();
        return issuer.sign({ access }, { key: { ...key, kid: issuer.keys[0]?.kid ?? "" } });
      },
    ],
    [
      "a critical extension",
      () => issuer.sign({ access }, { header: { crit: ["urn:test"], "urn:test": 1 } }),
    ],
    ["no access claim and no rules", () => issuer.sign({})],
  ];
  for (const [what, sign] of refused) {
    test(what, async () => {
      const as = await sign();
      const answer = await registry.send("GET", "/v2/outside/app/tags/list", { as });
      assert.equal(answer.status, 401, answer.text);
    });
  }

  test("one of a clock that is a little ahead is taken", async () => {
    const soon = Math.floor(Date.now() / 1000) + 8;
    const as = await issuer.sign({ access, iat: soon, nbf: soon, exp: soon + 300 });
    await registry.must(200, "GET", "/v2/", { as });
  });

  test("an end beyond all numbers", async () => {
    const token = await issuer.sign({ access, exp: 1e300 });
    await registry.must(200, "GET", "/v2/", { as: token });
    const exchanged = await registry
      .as({ name: "oidc", password: token })
      .askToken(["repository:outside/app:pull"]);
    assert(exchanged.expires_in <= 300);
  });

  const claims: [string, unknown][] = [
    ["a pattern for a name", [{ type: "repository", name: "**", actions: ["pull"] }]],
    ["a pattern within its reach", [{ type: "repository", name: "outside/*", actions: ["pull"] }]],
    ["a repository beyond its reach", [{ type: "repository", name: "team/app", actions: ["pull", "push"] }]],
    ["a name with dots", [{ type: "repository", name: "outside/../team/app", actions: ["pull"] }]],
    ["another type", [{ type: "registry", name: "outside/app", actions: ["pull"] }]],
    ["an access claim that is a text", "repository:outside/app:pull"],
    ["an access claim that is an object", { type: "repository", name: "outside/app", actions: ["pull"] }],
    ["actions that are a text", [{ type: "repository", name: "outside/app", actions: "pull" }]],
    [
      "actions that are objects",
      [{ type: "repository", name: "outside/app", actions: [{}, null, ["pull"]] }],
    ],
    ["holes", [null, 1, [], "x"]],
  ];
  for (const [what, claim] of claims) {
    test(`an access claim grants nothing by ${what}`, async () => {
      const as = await issuer.sign({ access: claim });
      for (const target of ["/v2/outside/app/tags/list", path, "/v2/team/app/tags/list"]) {
        const answer = await registry.send("GET", target, { as });
        assert([401, 403].includes(answer.status), answer.text);
      }
      // Who is granted nothing at all is refused; others get a token that does not open this.
      const login = { name: "oidc", password: as };
      const scope = "repository:outside/app:pull";
      if ((await registry.send("GET", `/token?service=stowage&scope=${scope}`, { as: login })).status === 401)
        return;
      const exchanged = await registry.as(login).bearer(scope);
      const answer = await registry.send("GET", "/v2/outside/app/tags/list", { as: exchanged });
      assert.equal(answer.status, 403, answer.text);
    });
  }

  test("the name of an account of ours as its subject is not that account", async () => {
    const rights = [{ type: "repository", name: "outside/app", actions: ["*"] }];
    for (const sub of ["admin", "alice", "alice\n", ":admin"]) {
      const as = await issuer.sign({ sub, access: rights });
      expectError(await registry.send("GET", path, { as }), 401, "UNAUTHORIZED");
      const login = { name: "oidc", password: as };
      assert.equal((await registry.send("GET", "/api/v1/accounts", { as: login })).status, 403);
      assert.equal((await registry.send("PUT", "/api/v1/accounts/mallory", { as: login })).status, 403);
      const own = encodeURIComponent(`oidc:${issuer.url}:${sub}`);
      const made = await registry.send("POST", `/api/v1/accounts/${own}/tokens`, {
        as: login,
        json: { description: "x" },
      });
      assert([403, 404].includes(made.status), made.text);
    }
  });
});

describe("headers that no honest client sends", () => {
  const authorizations: [string, string][] = [
    ["nothing", ""],
    ["a scheme alone", "Bearer"],
    ["another scheme", `Digest username="admin"`],
    ["a token without a scheme", genuine],
    ["two tokens", `Bearer ${genuine}, Bearer ${genuine}`],
    ["a token and a password", `Bearer ${genuine}, ${basic("admin", "x")}`],
    ["a token and a word", `Bearer ${genuine} ${genuine}`],
    ["a token under Basic", `Basic ${genuine}`],
    ["a password under Bearer", basic(admin.name, admin.password).replace("Basic", "Bearer")],
    ["Basic without a colon", `Basic ${btoa("admin")}`],
    ["Basic that is not base64", "Basic %%%"],
    ["Basic that is not UTF-8", `Basic ${Buffer.from([0xff, 0xfe, 0x3a, 0x80]).toString("base64")}`],
    ["Basic of nothing", "Basic "],
    ["Basic of a colon", `Basic ${btoa(":")}`],
    ["Basic with a colon in the name", basic("adm:in", admin.password)],
    ["Basic with a zero byte", basic("admin\0", admin.password)],
    ["Basic with the password of another case", basic("admin", admin.password.toUpperCase())],
    ["Basic with another case of the name", basic("Admin", admin.password)],
    ["Basic with a space after the name", basic("admin ", admin.password)],
    ["Basic with a wide letter", basic("ａdmin", admin.password)],
    ["Basic of half a character at a limit", basic(`${"a".repeat(99)}😀`, "x")],
    ["Basic of kilobytes", basic("a".repeat(5000), "b".repeat(5000))],
    ["Basic with a name of SQL", basic("' OR '1'='1", "x")],
    ["Basic as __proto__", basic("__proto__", "x")],
    ["Basic as constructor", basic("constructor", "x")],
    ["Basic as an issuer's", basic(`oidc:${issuer.url}:someone`, "x")],
    ["Basic as anonymous", basic("anonymous", "")],
    ["Basic as nobody", basic("", "")],
  ];
  for (const [what, value] of authorizations) {
    test(what, async () => {
      const headers = { Authorization: value, "CF-Connecting-IP": crypto.randomUUID() };
      for (const target of [path, "/v2/", "/api/v1/accounts"]) {
        assert.equal((await registry.send("GET", target, { headers })).status, 401, target);
      }
    });
  }
});

describe("hosts that are none are refused, whatever is asked", () => {
  for (const host of ["[::", "registry.example:99999", "xn--"]) {
    test(host, async () => {
      for (const target of ["/v2/", "/token", "/api/v1/accounts", "/"]) {
        const answer = await exchange(registry.url, rawHead("GET", target, { Host: host }));
        assert(answer !== undefined);
        expectError(answer, 400, "UNSUPPORTED");
      }
    });
  }
});

test("the genuine token still does what it was issued for", async () => {
  await registry.must(200, "GET", path, { as: genuine });
  await registry.must(202, "POST", "/v2/team/app/blobs/uploads/", { as: genuine });
});
