/** The rest of the management API: who may use it, repositories, explanations, and what the audit log says of it all. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { decodeJwt } from "jose";
import { expectError, expectProblem } from "../support/answer.ts";
import type { Credential, RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { content, digestOf, unknownDigest } from "../support/content.ts";
import { until } from "../support/registry.ts";

const registry = await startClosedRegistry();
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
const alice = await registry.account("alice", grants);
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

type View = Record<string, unknown>;

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

describe("repositories", () => {
  test("are described and searched", async () => {
    await registry.as(admin).pushImage("search/one", "v1");
    await registry.as(admin).pushImage("search/two", "v1");
    const json = { visibility: "public", description: "The <b>FINEST</b> 'app' %_" };
    const changed = await api("PATCH", "/repositories/search/one", { json });
    assert.deepEqual([changed.status, changed.json()], [200, { name: "search/one", ...json }]);
    const search = async (query: string) => {
      const answer = await api("GET", `/repositories?${new URLSearchParams({ query })}`);
      return answer.json<{ repositories: { name: string }[] }>().repositories.map(({ name }) => name);
    };
    assert.deepEqual(await search("search/"), ["search/one", "search/two"]);
    assert.deepEqual(await search("finest"), ["search/one"]);
    assert.deepEqual(await search("'app' %_"), ["search/one"]);
    assert.deepEqual(await search("%"), ["search/one"]);
    assert.deepEqual(await search("' OR 1=1 --"), []);
    const page = await api("GET", "/repositories?query=search&n=1");
    assert.deepEqual(page.json<{ repositories: unknown[] }>().repositories, [
      { name: "search/one", ...json, pulls: 0 },
    ]);
    assert.equal(
      page.header("Link"),
      '</api/v1/repositories?query=search&n=1&last=search%2Fone>; rel="next"',
    );
  });

  const bodies: [string, unknown][] = [
    ["another visibility", { visibility: "secret" }],
    ["a visibility that is null", { visibility: null }],
    ["a long description", { description: "a".repeat(1001) }],
    ["a description that is a number", { description: 1 }],
    ["another field", { name: "search/three" }],
  ];
  for (const [what, json] of bodies) {
    test(`are not changed by ${what}`, async () => {
      expectProblem(await api("PATCH", "/repositories/search/one", { json }), 400, "REQUEST_INVALID");
    });
  }

  test("that are not there are not found, or no names", async () => {
    const unknown = await api("PATCH", "/repositories/not/there", { json: {} });
    assert.equal(expectProblem(unknown, 404, "NAME_UNKNOWN"), "repository: not/there");
    assert.equal(unknown.json<{ repository: string }>().repository, "not/there");
    expectProblem(await api("DELETE", "/repositories/not/there"), 404, "NAME_UNKNOWN");
    expectProblem(await api("DELETE", "/repositories/Not/There"), 400, "NAME_INVALID");
    expectProblem(await api("DELETE", "/repositories/a%252fb"), 400, "NAME_INVALID");
    expectProblem(await api("DELETE", "/repositories/not%2fthere"), 404, "NAME_UNKNOWN");
  });

  test("are deleted with all they hold, and take no pushes until that is done", async () => {
    const image = await registry.as(admin).pushImage("doomed/app", "v1");
    await registry.must(200, "GET", "/v2/doomed/app/manifests/v1", { as: admin });
    assert.equal((await api("DELETE", "/repositories/doomed/app")).status, 202);
    expectProblem(await api("DELETE", "/repositories/doomed/app"), 404, "NAME_UNKNOWN");
    for (const path of ["manifests/v1", `manifests/${image.digest}`, `blobs/${image.config}`, "tags/list"]) {
      await registry.must(404, "GET", `/v2/doomed/app/${path}`, { as: admin });
    }
    const body = content();
    const headers = { "Content-Type": "application/vnd.oci.image.manifest.v1+json" };
    const put = { as: admin, headers, body: image.manifest };
    expectError(await registry.send("PUT", "/v2/doomed/app/manifests/v1", put), 409, "DENIED");
    const digest = digestOf(body);
    const push = await registry.send("POST", `/v2/doomed/app/blobs/uploads/?digest=${digest}`, {
      as: admin,
      body,
    });
    expectError(push, 409, "DENIED");
    const list = await registry.must(200, "GET", "/v2/_catalog", { as: admin });
    assert(!list.text.includes("doomed"));
  });
});

describe("explain", () => {
  const grant = { repository: "team/**", verbs: ["pull", "push"] };
  const cases: [unknown, Record<string, unknown>][] = [
    [
      { account: "alice", repository: "team/a/b", verb: "push" },
      { allowed: true, grant },
    ],
    [{ account: "alice", repository: "team/a/b", verb: "delete" }, { allowed: false }],
    [{ account: "alice", repository: "team", verb: "pull" }, { allowed: false }],
    [{ account: "alice", repository: "search/one", verb: "pull" }, { allowed: true }],
    [
      { account: "admin", repository: "any/thing", verb: "admin" },
      { allowed: true, grant: { repository: "**", verbs: ["pull", "push", "delete", "admin"] } },
    ],
    [{ account: "nobody", repository: "team/a", verb: "pull" }, { allowed: false }],
    [{ account: "__proto__", repository: "team/a", verb: "pull" }, { allowed: false }],
    [{ account: "disabled", repository: "team/a", verb: "pull" }, { allowed: false }],
  ];
  for (const [json, expected] of cases) {
    test(JSON.stringify(json), async () => {
      await api("PUT", "/accounts/disabled", { json: { grants, disabled: true } });
      const answer = await api("POST", "/explain", { json });
      assert.equal(answer.status, 200, answer.text);
      const { reason, ...rest } = answer.json<View>();
      assert.deepEqual(rest, expected);
      assert.match(String(reason), /\w/);
    });
  }

  const wrong: [unknown, string][] = [
    [{}, "REQUEST_INVALID"],
    [{ account: 1, repository: "a", verb: "pull" }, "REQUEST_INVALID"],
    [{ account: "alice", repository: "a", verb: "fly" }, "REQUEST_INVALID"],
    [{ account: "alice", repository: "A", verb: "pull" }, "NAME_INVALID"],
    [{ account: "alice", repository: ["a"], verb: "pull" }, "NAME_INVALID"],
    [{ account: "alice", verb: "pull" }, "NAME_INVALID"],
  ];
  for (const [json, code] of wrong) {
    test(`takes no ${JSON.stringify(json)}`, async () => {
      expectProblem(await api("POST", "/explain", { json }), 400, code);
    });
  }
});

describe("the audit log", () => {
  const events = async () =>
    (await registry.audit()).map(
      ({ actor, action, target, outcome }) => `${actor} ${action} ${target} ${outcome}`,
    );

  test("says who did what to accounts, tokens, keys and repositories", async () => {
    await registry.account("eve", grants);
    await api("PUT", "/accounts/eve", { json: { grants: [], disabled: true } });
    const { id, secret } = await registry.generateToken("eve", { description: "a robot" });
    await api("DELETE", `/accounts/eve/tokens/${id}`);
    await api("DELETE", "/accounts/eve");
    const { signing } = (await api("POST", "/keys/rotate")).json<{ signing: string }>();
    await registry.as(admin).pushImage("audited/app", "v1");
    await registry.setVisibility("audited/app", "public");
    await api("DELETE", "/repositories/audited/app");
    registry.secrets.add(secret);
    const expected = [
      "admin repository.delete audited/app done",
      "admin repository.change audited/app done",
      `admin keys.rotate ${signing} done`,
      "admin account.delete eve done",
      `admin token.delete eve/${id} done`,
      `admin token.create eve/${id} done`,
      "admin account.change eve done",
      "admin account.create eve done",
    ];
    await until("the entries", async () => (await events()).includes(expected[0] ?? ""));
    assert.deepEqual(
      (await events()).filter((event) => expected.includes(event)),
      expected,
    );
  });

  test("says what came of a push or delete with a password", async () => {
    await registry.as(admin).pushImage("audited/pushes", "v1");
    const wrong = { as: admin, body: "no JSON" };
    await registry.must(400, "PUT", "/v2/audited/pushes/manifests/wrong", wrong);
    await registry.must(404, "DELETE", "/v2/audited/pushes/manifests/none", { as: admin });
    await registry.must(202, "DELETE", "/v2/audited/pushes/manifests/v1", { as: admin });
    const noted = async () =>
      (await registry.audit())
        .filter(({ target }) => target === "audited/pushes")
        .map(({ action, outcome, detail }) => [action, outcome, detail]);
    const expected = [
      ["delete", "done", undefined],
      ["delete", "failed", "MANIFEST_UNKNOWN"],
      ["push", "failed", "MANIFEST_INVALID"],
      ["push", "done", undefined],
    ];
    await until("the entries", async () => (await noted()).length === expected.length);
    assert.deepEqual(await noted(), expected);
  });

  test("says who was given leave to write, and who was refused it", async () => {
    const bearer = await registry
      .as(alice)
      .bearer("repository:team/x:pull,push,delete", "repository:b/x:push");
    await registry.must(403, "POST", "/v2/b/x/blobs/uploads/", { as: bearer });
    await registry.must(403, "DELETE", "/v2/team/x/manifests/v1", { as: alice });
    await registry.must(403, "PUT", "/api/v1/accounts/alice", { as: alice, json: {} });
    const expected = [
      "alice token for push team/x granted",
      "alice token for delete team/x denied",
      "alice token for push b/x denied",
      "alice push b/x denied",
      "alice delete team/x denied",
      "alice PUT account alice denied",
    ];
    await until("the entries", async () => (await events()).includes(expected.at(-1) ?? ""));
    const seen = await events();
    for (const event of expected) assert(seen.includes(event), event);
    assert(!seen.some((event) => event.includes("pull")));
  });

  test("says who changed content with a password, once for each change", async () => {
    await registry.account("grace", [{ repository: "graced/*", verbs: ["pull", "push", "delete"] }]);
    const { secret } = await registry.generateToken("grace");
    const image = await registry.as(secret).pushImage("graced/app", "v1");
    await registry.must(200, "HEAD", "/v2/graced/app/manifests/v1", { as: secret });
    await registry.must(202, "DELETE", `/v2/graced/app/manifests/${image.digest}`, { as: secret });
    const expected = ["grace delete graced/app done", "grace push graced/app done"];
    await until("the entries", async () => (await events()).includes(expected[0] ?? ""));
    assert.deepEqual(
      (await events()).filter((event) => event.includes("graced/app")),
      expected,
    );
  });

  test("says from where, when and by which request", async () => {
    const headers = { "CF-Connecting-IP": "192.0.2.77" };
    const made = await registry.must(201, "PUT", "/api/v1/accounts/frank", {
      as: admin,
      json: { grants },
      headers,
    });
    const find = async () => (await registry.audit()).find(({ target }) => target === "frank");
    await until("the entry", async () => (await find()) !== undefined);
    const { id, time, ...entry } = (await find()) ?? {};
    assert.deepEqual(entry, {
      actor: "admin",
      action: "account.create",
      target: "frank",
      outcome: "done",
      detail: `grants ${JSON.stringify(grants)}`,
      address: "192.0.2.77",
      requestId: made.header("X-Request-Id"),
    });
    assert.equal(typeof id, "number");
    assert.match(String(time), timePattern);
    const lines = registry.log.split("\n").filter((line) => line.includes('"event":"audit"'));
    assert(lines.some((line) => line.includes('"target":"frank"') && line.includes("192.0.2.77")));
  });

  test("comes in pages, newest first", async () => {
    const all = (await registry.audit()).map(({ id }) => Number(id));
    assert.deepEqual(
      all,
      [...all].sort((one, other) => other - one),
    );
    const first = await api("GET", "/audit?n=2");
    const ids = first.json<{ entries: { id: number }[] }>().entries.map(({ id }) => id);
    assert.equal(first.header("Link"), `</api/v1/audit?n=2&last=${ids[1]}>; rel="next"`);
    const second = await api("GET", `/audit?n=2&last=${ids[1]}`);
    assert(second.json<{ entries: { id: number }[] }>().entries.every(({ id }) => id < Number(ids[1])));
    for (const query of ["n=x", "last=x", "last=1e99", "n=-1"]) {
      expectProblem(await api("GET", `/audit?${query}`), 400, "PAGE_INVALID");
    }
  });
});
