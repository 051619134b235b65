/** `/api/v1/audit`: what the log says of the management API, and of pushes. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { expectProblem } from "../support/answer.ts";
import type { RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { until } from "../support/registry.ts";

const registry = await startClosedRegistry();
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
const alice = await registry.account("alice", grants);
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const api = (method: string, path: string, options: RequestOptions = {}) =>
  registry.send(method, `/api/v1${path}`, { as: admin, ...options });

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
