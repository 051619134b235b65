/** What one caller can do to the audit log. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { expectProblem } from "../support/answer.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { until } from "../support/registry.ts";

const registry = await startClosedRegistry();
const mallory = await registry.account("mallory", []);
const alice = await registry.account("alice", [{ repository: "team/**", verbs: ["pull"] }]);
await registry.as(admin).pushImage("team/app", "v1");
await registry.setVisibility("team/app", "public");

type Entry = Record<string, unknown> & { id: number };

/** All entries, newest first. */
async function list(query = ""): Promise<Entry[]> {
  const found: Entry[] = [];
  for (let path: string | undefined = `/api/v1/audit?${query}`; path !== undefined; ) {
    const page = await registry.must(200, "GET", path, { as: admin });
    found.push(...page.json<{ entries: Entry[] }>().entries);
    path = /^<([^>]+)>; rel="next"$/.exec(page.headers.get("Link") ?? "")?.[1];
  }
  return found;
}

const lineOf = ({ actor, action, target, outcome }: Entry) => `${actor} ${action} ${target} ${outcome}`;

describe("refusals", () => {
  test("of one account, however many, push nothing out of the log", async () => {
    const before = (await list("kind=administration")).map(lineOf);
    assert(before.includes("admin account.create mallory done"));
    const long = "a".repeat(200);
    for (let request = 0; request < 110; request++) {
      const form = Array.from({ length: 100 }, (_, i): [string, string] => [
        "scope",
        `repository:${long}/r${request}-${i}:push`,
      ]);
      const grant: [string, string][] = [
        ["grant_type", "password"],
        ["username", mallory.name],
        ["password", mallory.password],
      ];
      await registry.must(200, "POST", "/token", { form: [...grant, ...form] });
    }
    assert.deepEqual((await list("kind=administration")).map(lineOf), before);
    assert((await list()).map(lineOf).includes("admin account.create mallory done"));
  });

  test("of another one are found beside them", async () => {
    await registry.must(403, "DELETE", "/v2/team/app/manifests/v1", { as: alice });
    const found = await list("kind=refusal");
    assert(found.map(lineOf).includes("alice delete team/app denied"));
  });

  test("that are the same are counted, and none is lost", async () => {
    await Promise.all(
      Array.from({ length: 50 }, () => registry.must(403, "GET", "/api/v1/webhooks", { as: mallory })),
    );
    const times = async () =>
      (await list("kind=refusal"))
        .filter((entry) => lineOf(entry) === "mallory GET webhooks * denied")
        .map(({ times = 1 }) => Number(times));
    const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
    await until("the refusals", async () => sum(await times()) === 50);
    assert((await times()).length < 50, "fewer rows than refusals");
  });

  test("are written by the route's name, with what it was about, cut", async () => {
    const long = "x".repeat(8000);
    await registry.must(403, "PUT", `/api/v1/accounts/${long}`, { as: mallory, json: {} });
    await registry.must(403, "DELETE", `/api/v1/accounts/bob/tokens/${long}`, { as: mallory });
    const paths = ["audit", "accounts", "accounts/admin/tokens", "webhooks/hook/dead-letters"];
    for (const path of paths) await registry.must(403, "GET", `/api/v1/${path}`, { as: mallory });
    const found = (await list("kind=refusal")).map(lineOf);
    const expected = [
      `mallory PUT account ${"x".repeat(399)}… denied`,
      `mallory DELETE account-token bob/${"x".repeat(395)}… denied`,
      "mallory GET audit * denied",
      "mallory GET accounts * denied",
      "mallory GET account-tokens admin denied",
      "mallory GET dead-letters hook denied",
    ];
    for (const line of expected) assert(found.includes(line), line);
    const lines = registry.log.split("\n").filter((line) => line.includes('"event":"audit"'));
    assert(lines.length > 0 && lines.every((line) => line.length < 4000));
  });

  test("are from an address, which is cut, as a proxy may pass on what a client says", async () => {
    const headers = { "CF-Connecting-IP": "x".repeat(1000) };
    await registry.must(403, "GET", "/api/v1/upstreams", { as: mallory, headers });
    const find = async () =>
      (await list("kind=refusal")).find((entry) => lineOf(entry) === "mallory GET upstreams * denied");
    await until("the refusal", async () => (await find()) !== undefined);
    assert.equal((await find())?.address, "x".repeat(64));
  });

  test("of pulls are not in it", async () => {
    await registry.must(403, "GET", "/v2/team/hidden/manifests/v1", { as: mallory });
    await registry.must(403, "DELETE", "/v2/team/hidden/manifests/v1", { as: mallory });
    const found = async () =>
      (await list("kind=refusal")).map(lineOf).filter((line) => line.includes("team/hidden"));
    await until("the deletion", async () => (await found()).length > 0);
    assert.deepEqual(await found(), ["mallory delete team/hidden denied"]);
  });

  test("of callers who showed nothing are not in it", async () => {
    const before = (await list()).length;
    await registry.must(401, "GET", "/api/v1/audit");
    await registry.must(401, "POST", "/v2/team/app/blobs/uploads/");
    await registry.must(401, "GET", "/v2/", { as: { name: "nobody", password: "wrong" } });
    await registry.must(200, "GET", "/token?scope=repository:team/app:push");
    assert.equal((await list()).length, before);
  });
});

describe("what was done", () => {
  test("is cut, too", async () => {
    const grants = Array.from({ length: 200 }, (_, i) => ({
      repository: `${"a/".repeat(100)}r${i}`,
      verbs: ["pull"],
    }));
    await registry.must(201, "PUT", "/api/v1/accounts/bob", { as: admin, json: { grants } });
    const find = async () => (await list("kind=administration")).find(({ target }) => target === "bob");
    await until("the entry", async () => (await find()) !== undefined);
    const detail = String((await find())?.detail);
    assert.match(detail, /^grants \[\{"repository":"a\/a.*…$/);
    assert.equal(detail.length, 1000);
  });

  test("by those who are no administrators, and with content, is a kind of its own", async () => {
    await registry.must(201, "POST", "/api/v1/accounts/alice/tokens", {
      as: alice,
      json: { description: "x" },
    });
    await registry.as(admin).bearer("repository:team/app:push");
    await until("the entries", async () => {
      const use = (await list("kind=use")).map(({ actor, action }) => `${actor} ${action}`);
      return ["alice token.create", "admin token for push", "admin push"].every((line) => use.includes(line));
    });
    const administration = (await list("kind=administration")).map(({ action }) => action);
    assert.deepEqual([...new Set(administration)].toSorted(), ["account.create", "repository.change"]);
  });
});

test("the audit log has what failed and may have been done, too", async () => {
  await registry.loseNext("LEDGERS.deleteTag");
  await registry.must(503, "DELETE", "/v2/team/app/manifests/v1", { as: admin });
  const find = async () => (await list("kind=use")).find(({ outcome }) => outcome === "failed");
  await until("the entry", async () => (await find()) !== undefined);
  assert.deepEqual(lineOf((await find()) ?? { id: 0 }), "admin delete team/app failed");
});

test("the audit log has no other kinds of entries than administration, use and refusal", async () => {
  for (const kind of ["", "denied", "Refusal"]) {
    const answer = await registry.send("GET", `/api/v1/audit?kind=${kind}`, { as: admin });
    assert.match(expectProblem(answer, 400, "REQUEST_INVALID") ?? "", /administration, use, refusal/);
  }
});
