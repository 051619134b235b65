/** A push that takes longer than its token lives. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import type { Credential } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import {
  configType,
  content,
  describe as describeBlob,
  digestOf,
  imageManifest,
} from "../support/content.ts";
import { afterTest } from "../support/ends.ts";
import { startIssuer } from "./support/issuer.ts";

const hourMs = 3_600_000;
const tokenTtlMs = 300_000;
const issuer = await startIssuer();
const trusted = {
  issuer: issuer.url,
  audience: "registry.example",
  jwksUrl: issuer.jwksUrl,
  repositories: ["team/**"],
  acceptAccess: true,
};
const vars = { TOKEN_TTL: "5m", UPLOAD_TTL: "2h", TOKEN_ISSUERS: JSON.stringify([trusted]) };
const registry = await startClosedRegistry(vars);
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
const scope = "repository:team/app:pull,push";
let accounts = 0;

/** Somebody in the middle of a push, whose token has just expired. */
async function expired(): Promise<{ name: string; login: Credential; as: string; location: string }> {
  const name = `pusher-${accounts++}`;
  const login = await registry.account(name, grants);
  const as = await registry.as(login).bearer(scope);
  const location = await open(as);
  await registry.advance(tokenTtlMs);
  return { name, login, as, location };
}

async function open(as: Credential): Promise<string> {
  return (await registry.must(202, "POST", "/v2/team/app/blobs/uploads/", { as })).header("Location");
}

test("goes on with the token it began with, and finishes", async () => {
  const { as, location, login } = await expired();
  const pieces = [content(2000), content(3000), content(1000)];
  let next = location;
  for (const body of pieces) {
    next = (await registry.must(202, "PATCH", next, { as, body })).header("Location");
    await registry.advance(hourMs / 4);
    await registry.must(204, "GET", next, { as });
  }
  const digest = digestOf(Buffer.concat(pieces));
  await registry.must(201, "PUT", `${next}?digest=${digest}`, { as });
  await registry.must(200, "HEAD", `/v2/team/app/blobs/${digest}`, { as: login });
});

test("may be finished with one request, and cancelled", async () => {
  const { as, location } = await expired();
  const body = content();
  await registry.must(201, "PUT", `${location}?digest=${digestOf(body)}`, { as, body });
  const other = await expired();
  await registry.must(204, "DELETE", other.location, { as: other.as });
});

describe("an expired token is good for nothing else", () => {
  const manifest = imageManifest(describeBlob(content(), configType), []);
  const cases: [string, string, Uint8Array?][] = [
    ["GET", "/v2/"],
    ["GET", "/v2/_catalog"],
    ["GET", "/v2/team/app/tags/list"],
    ["HEAD", `/v2/team/app/blobs/${digestOf(manifest)}`],
    ["PUT", "/v2/team/app/manifests/v1", manifest],
    ["POST", "/v2/team/app/blobs/uploads/"],
    ["POST", `/v2/team/app/blobs/uploads/?digest=${digestOf(manifest)}`, manifest],
    ["POST", `/v2/team/app/blobs/uploads/?mount=${digestOf(manifest)}&from=team/b`],
    ["DELETE", "/v2/team/app/manifests/v1"],
  ];
  for (const [method, path, body] of cases) {
    test(`${method} ${path.slice(0, 50)}`, async () => {
      const { as } = await expired();
      const headers = { "Content-Type": imageManifestType };
      const answer = await registry.must(
        401,
        method,
        path,
        body === undefined ? { as } : { as, headers, body },
      );
      assert.match(answer.header("WWW-Authenticate"), /error="invalid_token"$/);
    });
  }

  test("nor for a session of another repository, of nobody, or made up", async () => {
    const { as, location } = await expired();
    const id = location.split("/").at(-1);
    await registry.must(404, "PATCH", `/v2/team/app/blobs/uploads/${crypto.randomUUID()}`, { as, body: "x" });
    const elsewhere = await registry.send("PATCH", `/v2/team/other/blobs/uploads/${id}`, { as, body: "x" });
    assert.equal(elsewhere.status, 401);
  });
});

test("is not continued by the location alone", async () => {
  const { location } = await expired();
  const body = content();
  for (const options of [{}, { as: "x.y.z" }, { as: await registry.bearer(scope) }]) {
    for (const method of ["GET", "PATCH", "PUT", "DELETE"]) {
      const sent = method === "PATCH" || method === "PUT" ? { ...options, body } : options;
      await registry.must(401, method, `${location}?digest=${digestOf(body)}`, sent);
    }
  }
});

test("is not continued by somebody else's expired token", async () => {
  const { location } = await expired();
  const other = await expired();
  for (const as of [other.as, other.login]) {
    expectError(await registry.send("PATCH", location, { as, body: "x" }), 404, "BLOB_UPLOAD_UNKNOWN");
  }
});

test("is not continued by an expired token for pulls", async () => {
  const login = await registry.account("pulls", grants);
  const location = await open(login);
  const as = await registry.as(login).bearer("repository:team/app:pull");
  await registry.advance(tokenTtlMs);
  await registry.must(401, "PATCH", location, { as, body: "x" });
});

test("is not continued by an expired refresh token, or one that was tampered with", async () => {
  const { as, location, login } = await expired();
  const issued = await registry.as(login).askToken([], "&offline_token=true");
  const [header = "", payload = "", signature = ""] = as.split(".");
  const later = { ...JSON.parse(Buffer.from(payload, "base64url").toString()), exp: 4e9 };
  const tampered = `${header}.${Buffer.from(JSON.stringify(later)).toString("base64url")}.${signature}`;
  for (const shown of [issued.refresh_token ?? "", tampered, `${header}.${payload}.`]) {
    await registry.must(401, "PATCH", location, { as: shown, body: "x" });
  }
});

describe("is not continued once its account", () => {
  const put = (name: string, json: object) =>
    registry.must(200, "PUT", `/api/v1/accounts/${name}`, { as: admin, json: { grants, ...json } });
  const remove = (name: string) => registry.must(204, "DELETE", `/api/v1/accounts/${name}`, { as: admin });
  const cases: [string, (name: string) => Promise<unknown>, number][] = [
    ["is disabled", (name) => put(name, { disabled: true }), 401],
    [
      "was disabled, and is enabled again",
      async (name) => {
        await put(name, { disabled: true });
        await put(name, {});
      },
      401,
    ],
    ["has another password", (name) => put(name, { password: "another long password" }), 401],
    ["is deleted", (name) => remove(name), 401],
    [
      "was deleted, and another one has its name",
      async (name) => {
        await remove(name);
        await registry.account(name, grants);
      },
      401,
    ],
    ["may push no more", (name) => put(name, { grants: [{ repository: "team/**", verbs: ["pull"] }] }), 401],
  ];
  for (const [what, change, status] of cases) {
    test(what, async () => {
      const { name, as, location } = await expired();
      const next = (await registry.must(202, "PATCH", location, { as, body: "x" })).header("Location");
      await change(name);
      await registry.must(status, "PATCH", next, { as, body: "x" });
      await registry.must(status, "PUT", `${next}?digest=${digestOf(Buffer.from("x"))}`, { as });
    });
  }

  test("was made anew in the millisecond in which it was deleted, with the same password", async (t) => {
    afterTest(t, () => registry.advance(0));
    await registry.holdClock();
    const name = "at-once";
    const json = { password: "a password that stays", grants };
    const make = () => registry.must(201, "PUT", `/api/v1/accounts/${name}`, { as: admin, json });
    await make();
    const as = await registry.as({ name, password: json.password }).bearer(scope);
    const location = await open(as);
    await remove(name);
    await make();
    await registry.advance(tokenTtlMs);
    await registry.must(401, "PATCH", location, { as, body: "x" });
  });

  test("is admin, and has another password", async () => {
    const own = await startClosedRegistry(vars);
    const as = await own.as(admin).bearer(scope);
    const opened = await own.must(202, "POST", "/v2/team/app/blobs/uploads/", { as });
    await own.advance(tokenTtlMs);
    const written = await own.must(202, "PATCH", opened.header("Location"), { as, body: "x" });
    await own.deployWith("ADMIN_PASSWORD", "another administrator's password");
    await own.must(401, "PATCH", written.header("Location"), { as, body: "x" });
    await own.deployWith("ADMIN_PASSWORD", admin.password);
    await own.must(202, "PATCH", written.header("Location"), { as, body: "x" });
  });

  test("has lost the generated token that it began with", async () => {
    await registry.account("robots", grants);
    const { id, secret } = await registry.generateToken("robots");
    const as = await registry.as({ name: "robots", password: secret }).bearer(scope);
    const location = await open(as);
    await registry.advance(tokenTtlMs);
    const next = (await registry.must(202, "PATCH", location, { as, body: "x" })).header("Location");
    await registry.must(204, "DELETE", `/api/v1/accounts/robots/tokens/${id}`, { as: admin });
    await registry.must(401, "PATCH", next, { as, body: "x" });
  });
});

test("goes on after a change of its account that ends nothing", async () => {
  const { name, as, location } = await expired();
  const json = { grants: [...grants, { repository: "more/**", verbs: ["pull"] }] };
  await registry.must(200, "PUT", `/api/v1/accounts/${name}`, { as: admin, json });
  await registry.must(202, "PATCH", location, { as, body: "x" });
});

test("goes on with a generated token, whatever its account's password is", async () => {
  await registry.account("machines", grants);
  const { secret } = await registry.generateToken("machines");
  const as = await registry.as({ name: "machines", password: secret }).bearer(scope);
  const location = await open(as);
  const json = { grants, password: "another long password" };
  await registry.must(200, "PUT", "/api/v1/accounts/machines", { as: admin, json });
  await registry.advance(tokenTtlMs);
  await registry.must(202, "PATCH", location, { as, body: "x" });
});

describe("of a token that the registry's key signed and the registry did not issue", () => {
  /** Claims of a genuine token with others in their place, times in seconds from its `iat`. */
  async function altered(change: object): Promise<{ as: string; location: string }> {
    const login = await registry.account(`altered-${accounts++}`, grants);
    const genuine = await registry.as(login).bearer(scope);
    const location = await open(genuine);
    const claims = JSON.parse(Buffer.from(genuine.split(".")[1] ?? "", "base64url").toString());
    const times = Object.fromEntries(
      Object.entries(change).map(([name, value]) => [
        name,
        typeof value === "number" ? claims.iat + value : value,
      ]),
    );
    const as = await registry.signAsRegistry({ ...claims, ...times });
    return { as, location };
  }

  test("what an earlier release issued is taken until it ends, and not after", async () => {
    const { as, location } = await altered({ ver: undefined });
    const next = (await registry.must(202, "PATCH", location, { as, body: "x" })).header("Location");
    await registry.advance(tokenTtlMs);
    await registry.must(401, "PATCH", next, { as, body: "x" });
  });

  test("the longest that can be set is taken", async () => {
    const { as } = await altered({ exp: 3600 });
    await registry.must(200, "GET", "/v2/", { as });
  });

  test("one that was issued by a clock a little ahead is taken", async () => {
    const { as } = await altered({ iat: 5, nbf: 5, exp: 305 });
    await registry.must(200, "GET", "/v2/", { as });
  });

  const refused: [string, object][] = [
    ["one that lives longer than any setting allows", { exp: 3601 }],
    ["one that lives for years", { exp: 4e8 }],
    ["one that is long, and ended just now", { iat: -4e8, nbf: -4e8, exp: 1 }],
    ["one that is issued in years to come", { iat: 4e8, exp: 4e8 + 300 }],
    ["one that is issued in six minutes", { iat: 360, exp: 660 }],
    ["one that counts in years to come", { nbf: 4e8 }],
    ["one that never ends", { exp: undefined }],
    ["one that says not when it was issued", { iat: undefined }],
    ["one that says not from when it counts", { nbf: undefined }],
    ["one of nobody", { sub: undefined }],
    ["one of another issuer", { iss: "another.example" }],
    ["one for another service", { aud: "another.example" }],
  ];
  for (const [what, change] of refused) {
    test(`${what} is refused, before its end and after`, async () => {
      const { as, location } = await altered(change);
      await registry.must(401, "GET", "/v2/", { as });
      await registry.must(401, "PATCH", location, { as, body: "x" });
      await registry.advance(tokenTtlMs);
      await registry.must(401, "PATCH", location, { as, body: "x" });
    });
  }
});

test("is not continued after UPLOAD_TTL", async () => {
  const { as, location } = await expired();
  await registry.advance(2 * hourMs + 1000);
  await registry.must(401, "PATCH", location, { as, body: "x" });
});

test("goes on with a token that was exchanged for another issuer's, and with one of theirs", async () => {
  const claims = { access: [{ type: "repository", name: "team/app", actions: ["pull", "push"] }] };
  const exp = Math.floor(Date.now() / 1000) + 48 * 3600;
  const theirs = await issuer.sign({ ...claims, exp });
  const as = await registry.as({ name: "oidc", password: theirs }).bearer(scope);
  const location = await open(as);
  await registry.advance(tokenTtlMs);
  const next = (await registry.must(202, "PATCH", location, { as, body: "x" })).header("Location");
  await registry.must(201, "PUT", `${next}?digest=${digestOf(Buffer.from("x"))}`, { as });
  await registry.must(401, "POST", "/v2/team/app/blobs/uploads/", { as });
});

test("is not continued once nothing of another issuer's is trusted any more, or not as far", async () => {
  const own = await startClosedRegistry(vars);
  const claims = { access: [{ type: "repository", name: "team/app", actions: ["pull", "push"] }] };
  const theirs = await issuer.sign({ ...claims, exp: Math.floor(Date.now() / 1000) + 48 * 3600 });
  const as = await own.as({ name: "oidc", password: theirs }).bearer(scope);
  const { headers } = await own.must(202, "POST", "/v2/team/app/blobs/uploads/", { as });
  await own.advance(tokenTtlMs);
  const write = (status: number) =>
    own.must(status, "PATCH", headers.get("Location") ?? "", { as, body: "" });
  await write(202);
  const elsewhere = { ...trusted, issuer: `${issuer.url}0` };
  const narrower = { ...trusted, repositories: ["team/other"] };
  for (const issuers of [[], [elsewhere], [narrower]]) {
    await own.deployWith("TOKEN_ISSUERS", JSON.stringify(issuers));
    await write(401);
  }
  await own.deployWith(
    "TOKEN_ISSUERS",
    JSON.stringify([narrower, elsewhere, { ...trusted, audience: "x" }].slice(1)),
  );
  await write(202);
});
