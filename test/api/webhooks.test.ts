/** `/api/v1/webhooks`: who may manage them, what they accept, and what is never shown or logged. */
import assert from "node:assert/strict";
import test from "node:test";
import { expectProblem } from "../support/answer.ts";
import type { RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";

const registry = await startClosedRegistry();
const path = "/api/v1/webhooks";
const valid = { url: "https://example.com/hook", events: ["manifest.push"], repository: "team/**" };
const asAdmin = (method: string, where: string, options: RequestOptions = {}) =>
  registry.send(method, where, { as: admin, ...options });

test("none but administrators manage them", async () => {
  const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const, "admin" as const] }];
  const alice = await registry.account("alice", grants);
  const { id } = (await asAdmin("POST", path, { json: valid })).json<{ id: string }>();
  const cases: [method: string, where: string, json?: object][] = [
    ["GET", ""],
    ["POST", "", valid],
    ["GET", `/${id}`],
    ["PATCH", `/${id}`, { disabled: true }],
    ["DELETE", `/${id}`],
    ["POST", `/${id}/ping`],
    ["GET", `/${id}/deliveries`],
    ["GET", `/${id}/dead-letters`],
    ["GET", `/${id}/dead-letters/x`],
    ["POST", `/${id}/dead-letters/x/replay`],
  ];
  for (const [method, where, json] of cases) {
    const body = json === undefined ? {} : { json };
    expectProblem(await registry.send(method, path + where, { as: alice, ...body }), 403, "DENIED");
    expectProblem(await registry.send(method, path + where, body), 401, "UNAUTHORIZED");
  }
  await registry.must(204, "DELETE", `${path}/${id}`, { as: admin });
  for (const [method, where, json] of cases.slice(2)) {
    const answer = await asAdmin(method, path + where, json === undefined ? {} : { json });
    expectProblem(answer, 404, "WEBHOOK_UNKNOWN");
  }
});

test("a secret and the values of headers are never shown again, nor logged", async () => {
  const hidden = { Authorization: "Bearer of a listener's token" };
  const given = { ...valid, url: "https://example.com/a-secret-path", headers: hidden };
  const made = await registry.must(201, "POST", path, { as: admin, json: given });
  const { id, secret, ...shown } = made.json<{ id: string; secret: string; createdAt: string }>();
  assert.match(secret, /^[\w-]{43}$/);
  const { createdAt, ...rest } = shown;
  assert.equal(new Date(createdAt).toISOString(), createdAt);
  assert.deepEqual(rest, {
    ...valid,
    url: given.url,
    format: "distribution",
    headerNames: ["Authorization"],
    disabled: false,
  });
  const chosen = { ...valid, secret: "a secret of their own", format: "cloudevents" };
  const other = await registry.must(201, "POST", path, { as: admin, json: chosen });
  const list = await registry.must(200, "GET", path, { as: admin });
  const one = await registry.must(200, "GET", `${path}/${id}`, { as: admin });
  const changed = await registry.must(200, "PATCH", `${path}/${id}`, {
    as: admin,
    json: { secret: "another secret", disabled: true },
  });
  assert.equal(changed.json<{ disabled: boolean }>().disabled, true);
  const state = { waiting: 0, deadLetters: 0, dropped: 0 };
  assert.deepEqual(one.json(), { id, ...shown, ...state });
  const texts = [other.text, list.text, one.text, changed.text, registry.log];
  for (const text of texts) {
    for (const hiddenText of [secret, hidden.Authorization, chosen.secret, "another secret"]) {
      assert(!text.includes(hiddenText));
    }
  }
  assert(!registry.log.includes("a-secret-path"), "the path of a URL may be a secret");
  const actions = (await registry.audit()).map(({ action }) => action);
  assert.deepEqual(actions.slice(0, 3), ["webhook.change", "webhook.create", "webhook.create"]);
});

const refused: [what: string, json: object, detail: RegExp][] = [
  ["no URL", { events: ["manifest.push"] }, /url/],
  ["no events", { url: valid.url }, /events/],
  ["an empty list of events", { ...valid, events: [] }, /events/],
  ["an unknown event", { ...valid, events: ["manifest.shove"] }, /events/],
  ["a private URL", { ...valid, url: "https://127.0.0.1/" }, /WEBHOOK_ALLOW_PRIVATE/],
  ["a URL in plain http", { ...valid, url: "http://example.com/" }, /not https/],
  ["a URL that is none", { ...valid, url: 5 }, /url/],
  ["a bad pattern", { ...valid, repository: "Team" }, /repository/],
  ["an unknown format", { ...valid, format: "xml" }, /format/],
  ["an empty secret", { ...valid, secret: "" }, /secret/],
  ["a long secret", { ...valid, secret: "x".repeat(257) }, /secret/],
  ["a header that delivery sets", { ...valid, headers: { "Stowage-Signature": "x" } }, /headers/],
  ["a header that frames the body", { ...valid, headers: { "transfer-encoding": "chunked" } }, /headers/],
  ["a header of two lines", { ...valid, headers: { "X-A": "b\r\nX-C: d" } }, /headers/],
  ["a header that is no text", { ...valid, headers: { "X-A": 1 } }, /headers/],
  ["headers that are a list", { ...valid, headers: [] }, /headers/],
  ["disabled that is neither true nor false", { ...valid, disabled: "no" }, /disabled/],
  ["a misspelt field", { ...valid, event: "manifest.push" }, /unknown field event/],
];

for (const [what, json, detail] of refused) {
  test(`${what} is refused, by a sentence that names the field`, async () => {
    assert.match(
      String(expectProblem(await asAdmin("POST", path, { json }), 400, "REQUEST_INVALID")),
      detail,
    );
  });
}

test("there are at most a hundred", async () => {
  const list = (await registry.must(200, "GET", path, { as: admin })).json<{ webhooks: object[] }>();
  for (let count = list.webhooks.length; count < 100; count++) {
    await registry.must(201, "POST", path, { as: admin, json: valid });
  }
  const answer = await asAdmin("POST", path, { json: valid });
  assert.match(String(expectProblem(answer, 400, "REQUEST_INVALID")), /as many webhooks as there may be/);
});
