/** `/api/v1/explain`. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { expectProblem } from "../support/answer.ts";
import type { RequestOptions } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";

const registry = await startClosedRegistry();
const grants = [{ repository: "team/**", verbs: ["pull" as const, "push" as const] }];
await registry.account("alice", grants);
await registry.as(admin).pushImage("search/one", "v1");
await registry.setVisibility("search/one", "public");

type View = Record<string, unknown>;

const api = (method: string, path: string, options: RequestOptions = {}) =>
  registry.send(method, `/api/v1${path}`, { as: admin, ...options });

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
