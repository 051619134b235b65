/** What trying costs those who try, and what checking costs the registry. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { authorization, Client, type Credential } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { streamOf, unknownDigest } from "../support/content.ts";
import { head, OpenRequest } from "../support/raw.ts";

/** Failed logins a minute, as wrangler.toml has them; and of what is asked in vain fewer, for the sake of time. */
const maxFailures = 10;
const maxMisses = 40;

const registry = await startClosedRegistry({}, { maxMisses });
const alice = await registry.account("alice", [{ repository: "team/**", verbs: ["pull", "push"] }]);
const image = await registry.as(alice).pushImage("team/app", "v1");
const open = await registry.as(admin).pushImage("open/app", "v1");
await registry.as(admin).pushImage("private/app", "v1");
await registry.setVisibility("open/app", "public");

const from = (address: string) => ({ "CF-Connecting-IP": address });

/** Fails until it is refused to try: after the limit, or after twice as much where a minute ended meanwhile. */
async function failUntilRefused(as: Credential, address: (attempt: number) => string, path = "/v2/") {
  for (let failures = 0; failures <= 2 * maxFailures; failures++) {
    const { status } = await logIn(as, address(failures), path);
    if (status === 429) return assert(failures >= maxFailures, `${failures} failures`);
    assert.equal(status, 401);
  }
  assert.fail("never refused");
}

function logIn(as: Credential, address: string, path = "/token") {
  return registry.send("GET", path, { as, headers: from(address) });
}

describe("failed logins", () => {
  const wrong = { name: "alice", password: "wrong password" };

  test("are refused after so many from one address, with the time to wait", async () => {
    await failUntilRefused(wrong, () => "192.0.2.1");
    const paths = ["/token", "/v2/", "/v2/team/app/tags/list", "/api/v1/accounts"];
    for (const path of paths) {
      const answer = await logIn(wrong, "192.0.2.1", path);
      assert.equal(answer.status, 429, answer.text);
      assert.equal(answer.header("Retry-After"), "60");
      assert.match(answer.text, /TOOMANYREQUESTS/);
    }
    const form: [string, string][] = [
      ["grant_type", "password"],
      ["username", "alice"],
      ["password", alice.password],
    ];
    const posted = await registry.send("POST", "/token", { form, headers: from("192.0.2.1") });
    expectError(posted, 429, "TOOMANYREQUESTS");
    assert.equal((await logIn(alice, "192.0.2.1")).status, 429, "no guess is answered");
  });

  test("lock nobody out elsewhere, and no other account", async () => {
    assert.equal((await logIn(alice, "192.0.2.2")).status, 200);
    assert.equal((await logIn(admin, "192.0.2.1")).status, 200);
    const bearer = await registry.as(alice).bearer("repository:team/app:pull");
    const answer = await registry.send("GET", "/v2/team/app/tags/list", {
      as: bearer,
      headers: from("192.0.2.1"),
    });
    assert.equal(answer.status, 200);
  });

  test("keep nobody out who shows a generated token, which cannot be guessed", async () => {
    const { secret } = await registry.generateToken("alice");
    for (const path of ["/v2/", "/token"]) {
      const shown = await logIn({ name: "alice", password: secret }, "192.0.2.1", path);
      assert.equal(shown.status, 200, path);
    }
  });

  test("are forgotten after a minute", async () => {
    await registry.advance(61_000);
    assert.equal((await logIn(alice, "192.0.2.1")).status, 200);
  });

  test("are not what successful ones count as", async () => {
    for (let i = 0; i < 3 * maxFailures; i++) assert.equal((await logIn(alice, "192.0.2.3")).status, 200);
    await registry.takeCalls();
    for (let i = 0; i < 5; i++) await logIn(alice, "192.0.2.3", "/v2/");
    assert.equal((await registry.takeCalls())["LOGIN_FAILURES.limit"], undefined);
  });

  const guesses: [string, Credential][] = [
    ["of the administrator", { name: "admin", password: "wrong password" }],
    ["of an unknown account", { name: "nobody", password: "wrong password" }],
    ["of a generated token", { name: "alice", password: "stw_wrong" }],
    ["of a generated token as bearer", "stw_wrong"],
    ["of an issuer's token", { name: "oidc", password: "x.y.z" }],
  ];
  for (const [index, [what, as]] of guesses.entries()) {
    test(`are counted for guesses ${what}`, async () => {
      await failUntilRefused(as, () => `198.51.100.${index}`);
    });
  }

  const secrets: [string, (wrong: string) => Credential, Credential][] = [
    ["a generated token", (wrong) => wrong, "stw_another"],
    [
      "a token of an issuer",
      (wrong) => ({ name: "oidc", password: wrong }),
      { name: "oidc", password: "a.b.c" },
    ],
  ];
  for (const [index, [what, show, another]] of secrets.entries()) {
    test(`with ${what} are counted for that token, and others of the address go on`, async () => {
      const address = `198.51.100.${100 + index}`;
      await failUntilRefused(show("stw_expired"), () => address);
      assert.equal((await logIn(another, address)).status, 401);
    });
  }

  test("are not counted for forged bearer tokens, which cost no look-up and cannot be guessed", async () => {
    for (let i = 0; i < 2 * maxFailures; i++) {
      assert.equal((await logIn("a.b.c", "203.0.113.1", "/v2/")).status, 401);
    }
  });

  test("of many names from one address, each cost one call to an object at most", async () => {
    await registry.takeCalls();
    for (let i = 0; i < 20; i++) await logIn({ name: `name-${i}`, password: "x" }, "203.0.113.2");
    const calls = await registry.takeCalls();
    assert.deepEqual(calls, {
      "CATALOG.account": 20,
      "LOGIN_FAILURES.limit": 20,
      "ADDRESS_LOGIN_FAILURES.limit": 20,
    });
  });

  test("count the address that the nearest proxy names", async () => {
    await failUntilRefused(wrong, (attempt) => `10.0.0.${attempt}, 203.0.113.9`);
  });
});

describe("anonymous callers that ask in vain", () => {
  const total = 200;

  async function guess(path: () => string, address: string, as?: Credential): Promise<Map<number, number>> {
    const statuses = new Map<number, number>();
    for (let sent = 0; sent < total; sent += 20) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          registry.send(i % 2 ? "HEAD" : "GET", path(), { as, headers: from(address) }),
        ),
      );
      for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    return statuses;
  }

  test("for digests of a public repository reach its ledger no more after a while", async () => {
    await registry.takeCalls();
    const statuses = await guess(() => `/v2/open/app/blobs/${unknownDigest()}`, "203.0.113.20");
    const { "LEDGERS.locateBlob": asked = 0 } = await registry.takeCalls();
    assert(asked >= maxMisses && asked < 2 * maxMisses + 50, `${asked} calls`);
    assert.equal(statuses.get(429), total - (statuses.get(404) ?? 0));
    const pull = await registry.send("GET", "/v2/open/app/manifests/v1", { headers: from("203.0.113.20") });
    expectError(pull, 429, "TOOMANYREQUESTS");
  });

  test("nor from many addresses of one network of IPv6", async () => {
    let host = 1;
    const statuses = new Map<number, number>();
    for (let sent = 0; sent < 2 * maxMisses + 10; sent++) {
      const headers = from(`2001:db8:0:1::${(host++).toString(16)}`);
      const { status } = await registry.send("GET", `/v2/open/app/blobs/${unknownDigest()}`, { headers });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    assert((statuses.get(429) ?? 0) > 0, JSON.stringify([...statuses]));
  });

  test("nor with a token that is nobody's", async () => {
    const as = await registry.bearer("repository:open/app:pull");
    await registry.takeCalls();
    const statuses = await guess(() => `/v2/open/app/manifests/${unknownDigest()}`, "203.0.113.21", as);
    const { "LEDGERS.manifest": asked = 0 } = await registry.takeCalls();
    assert(asked < 2 * maxMisses + 50, `${asked} calls`);
    assert((statuses.get(429) ?? 0) > 50, JSON.stringify([...statuses]));
  });

  test("for names, reach the index of names no more after a while", async () => {
    await registry.takeCalls();
    let number = 0;
    const statuses = await guess(() => `/v2/guess/r${number++}/tags/list`, "203.0.113.22");
    const { "NAME_INDEX.mayBePublic": asked = 0 } = await registry.takeCalls();
    assert(asked >= maxMisses && asked < 2 * maxMisses + 50, `${asked} calls`);
    assert((statuses.get(429) ?? 0) > 50, JSON.stringify([...statuses]));
    assert.deepEqual([...statuses.keys()].sort(), [401, 429]);
  });

  test("nor do those of an account that may pull none of them", async () => {
    const as = await registry.account("nobody", []);
    await registry.takeCalls();
    for (let i = 0; i < 10; i++) {
      const asked = Array.from({ length: 20 }, (_, j) => `repository:guess/n${i}-${j}:pull`);
      await registry.as(as).bearer(...asked);
    }
    const { "NAME_INDEX.mayBePublic": asked = 0 } = await registry.takeCalls();
    assert(asked >= maxMisses && asked < 2 * maxMisses + 50, `${asked} calls`);
    // What it may is another matter, and nobody else is hindered.
    await registry.must(200, "GET", "/v2/", { as });
    await registry.must(200, "GET", "/v2/open/app/manifests/v1", { headers: from("203.0.113.31") });
  });

  test("nor at the token service", async () => {
    await registry.takeCalls();
    const statuses = new Set<number>();
    for (let i = 0; i < 10; i++) {
      const scope = Array.from({ length: 20 }, (_, j) => `scope=repository:guess/t${i}-${j}:pull`).join("&");
      statuses.add((await registry.send("GET", `/token?${scope}`, { headers: from("203.0.113.23") })).status);
    }
    const { "NAME_INDEX.mayBePublic": asked = 0 } = await registry.takeCalls();
    assert(asked >= maxMisses && asked < 2 * maxMisses + 50, `${asked} calls`);
    assert.deepEqual([...statuses], [200, 429]);
  });

  test("are refused alike for what is there and what is not", async () => {
    const headers = from("203.0.113.22");
    const answers = await Promise.all(
      ["open/app", "private/app", "missing/app"].map((name) =>
        registry.send("GET", `/v2/${name}/tags/list`, { headers }),
      ),
    );
    assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1);
  });

  test("are refused alike by the management API, also of what is known to be public", async () => {
    await guess(() => `/v2/open/app/blobs/${unknownDigest()}`, "203.0.113.32");
    await registry.must(200, "GET", "/api/v1/repositories/open/app", { headers: from("203.0.113.33") });
    for (const name of ["open/app", "private/app", "missing/app"]) {
      await registry.must(401, "GET", `/api/v1/repositories/${name}`, { headers: from("203.0.113.32") });
    }
  });

  test("hinder neither other addresses nor those who log in", async () => {
    await registry.must(200, "GET", "/v2/open/app/manifests/v1", { headers: from("203.0.113.30") });
    const headers = from("203.0.113.22");
    await registry.must(200, "GET", "/v2/open/app/manifests/v1", { as: alice, headers });
    await registry.must(401, "POST", "/v2/open/app/blobs/uploads/", { headers });
    await registry.must(401, "GET", "/v2/", { headers });
  });

  test("are let in again after a minute", async () => {
    await registry.advance(61_000);
    await registry.must(200, "GET", "/v2/open/app/manifests/v1", { headers: from("203.0.113.22") });
  });
});

describe("in steady state", () => {
  /** The calls so far, but for the one a day by which a use is told after its answer. */
  const steadyCalls = async () => {
    const { "LEDGERS.recordUses": _, ...calls } = await registry.takeCalls();
    return calls;
  };

  test("a bearer token costs no call to a binding", async () => {
    const tokens = [
      await registry.as(alice).bearer("repository:team/app:pull"),
      await registry.as(alice).bearer("repository:team/app:pull"),
      await registry.as(admin).bearer("repository:team/app:pull"),
    ];
    const path = `/v2/team/app/manifests/${image.digest}`;
    await registry.must(200, "GET", path, { as: tokens[0] });
    await registry.takeCalls();
    for (const as of tokens) {
      await registry.must(200, "GET", "/v2/", { as });
      for (let i = 0; i < 5; i++) await registry.must(200, "GET", path, { as });
    }
    assert.deepEqual(await steadyCalls(), {});
  });

  test("nor does a public repository, with an anonymous token or none", async () => {
    const as = await registry.bearer("repository:open/app:pull");
    const path = `/v2/open/app/manifests/${open.digest}`;
    const headers = from("203.0.113.40");
    await registry.must(200, "GET", path, { headers });
    await registry.takeCalls();
    await registry.must(200, "GET", path, { as, headers });
    await registry.must(200, "GET", path, { headers });
    await registry.bearer("repository:open/app:pull");
    assert.deepEqual(await steadyCalls(), {});
  });

  test("a password costs one look-up", async () => {
    await registry.must(200, "GET", "/v2/", { as: alice });
    await registry.takeCalls();
    for (let i = 0; i < 20; i++) await registry.must(200, "GET", "/v2/", { as: alice });
    assert.deepEqual(await registry.takeCalls(), { "CATALOG.account": 20 });
  });

  test("a list costs a look-up of the account of a bearer token, once a minute", async () => {
    const scope = "registry:catalog:*";
    const [own, nobodys] = [await registry.as(alice).bearer(scope), await registry.bearer(scope)];
    for (const [as, expected] of [
      [own, 1],
      [own, 0],
      [nobodys, 0],
      [alice, 1],
    ] as const) {
      await registry.takeCalls();
      await registry.must(200, "GET", "/v2/_catalog", { as });
      const { "CATALOG.account": asked = 0 } = await registry.takeCalls();
      assert.equal(asked, expected);
    }
  });

  test("a refused or forged token costs none either", async () => {
    const as = await registry.as(alice).bearer("repository:team/app:pull");
    const [header = "", payload = ""] = as.split(".");
    await registry.takeCalls();
    for (let i = 0; i < 5; i++) {
      await registry.must(401, "GET", "/v2/", { as: `${header}.${payload}.AAAA` });
      await registry.must(401, "POST", "/v2/team/app/blobs/uploads/", { as });
    }
    assert.deepEqual(await registry.takeCalls(), {});
  });

  test("tokens under unknown keys are looked up every second, not each", async () => {
    await registry.takeCalls();
    const started = performance.now();
    for (let i = 0; i < 20; i++) {
      const header = Buffer.from(JSON.stringify({ alg: "EdDSA", typ: "at+jwt", kid: `k${i}` })).toString(
        "base64url",
      );
      await registry.must(401, "GET", "/v2/", { as: `${header}.e30.AAAA` });
    }
    const { "CATALOG.signingKeys": asked = 0 } = await registry.takeCalls();
    assert(asked <= 2 + (performance.now() - started) / 1000, `${asked} calls`);
  });
});

test("manifests that are stored leave their room to the next ones, also those of which nobody says how large they are", async () => {
  // Room for the largest is kept for each, and one account has that of three.
  const headers = { Authorization: authorization(alice), "Content-Type": imageManifestType };
  for (let count = 0; count < 4; count++) {
    const body = streamOf(image.manifest);
    await new Client(registry.url).must(201, "PUT", "/v2/team/app/manifests/v1", { headers, body });
  }
});

test("manifests that one account sends slowly keep nobody else from pushing", async () => {
  const slow = Array.from({ length: 12 }, (_, index) => {
    const request = head("PUT", `/v2/team/app/manifests/slow${index}`, {
      Authorization: authorization(alice),
      "Content-Type": imageManifestType,
      "Content-Length": "4194304",
    });
    return new OpenRequest(registry.url, `${request}{`);
  });
  try {
    // Each of them is on its way before this one.
    await registry.must(200, "GET", "/v2/", { as: alice });
    await registry.as(admin).pushImage("private/app", "v2");
  } finally {
    for (const request of slow) request.cut();
  }
});
