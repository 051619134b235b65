/** Who is let in to the management API by the credential alone, whatever the routes are. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { accessByGrants, anonymous, scraper } from "../../src/edge/auth/authorise.ts";
import { managementRefusal } from "../../src/edge/auth/management.ts";
import type { Access, Context } from "../../src/edge/context.ts";
import type { ManagementEndpoint } from "../../src/edge/route.ts";
import { everything } from "../../src/oci/grant.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { afterTest } from "../support/ends.ts";

type Rule = ManagementEndpoint["access"];

/** Lets the audit log pause for no time, and write no line. */
function quieten(t: TestContext): void {
  const given = Reflect.get(globalThis, "scheduler");
  afterTest(t, () => Object.assign(globalThis, { scheduler: given }));
  Object.assign(globalThis, { scheduler: { wait: async () => {} } });
  t.mock.method(console, "log", () => {});
}

/** The error of a caller who is refused by a rule, on a path about these. */
async function errorOf(access: Access, rule: Rule, params: Record<string, string> = {}) {
  const registry = {
    clock: { now: () => 0 },
    settings: { service: "stowage", upstreams: [] },
    catalog: () => ({ audit: async () => {} }),
  } as unknown as Registry;
  const request = new Request("http://localhost/");
  const audited: Promise<unknown>[] = [];
  const waitUntil = (promise: Promise<unknown>) => audited.push(promise);
  const context = { access, params, registry, request, waitUntil } as unknown as Context;
  const refusal = await managementRefusal(context, "any", rule);
  await Promise.all(audited);
  return refusal?.error;
}

test("the scraper's token reads the metrics, and is nobody's account", async (t) => {
  quieten(t);
  assert.equal(await errorOf(scraper, "scraper"), undefined);
  for (const rule of ["administrator", "own account", "own token"] as const) {
    assert.equal(await errorOf(scraper, rule, { account: "admin" }), "DENIED", rule);
  }
  for (const access of [anonymous, accessByGrants("admin", "bearer", [everything])]) {
    assert.equal(await errorOf(access, "scraper"), "UNAUTHORIZED");
  }
  assert.equal(await errorOf(accessByGrants("alice", "password", [[]]), "scraper"), "DENIED");
  assert.equal(await errorOf(accessByGrants("admin", "password", [everything]), "scraper"), undefined);
});

test("a generated token is let in where the rule is about itself, and not where it is about its account", async (t) => {
  quieten(t);
  const access = { ...accessByGrants("alice", "password", [[]]), tokenId: "one" };
  const about = (account: string, token: string) => ({ account, token });
  assert.equal(await errorOf(access, "own token", about("alice", "one")), undefined);
  assert.equal(await errorOf(access, "own token", about("alice", "other")), "DENIED");
  assert.equal(await errorOf(access, "own token", about("bob", "one")), "DENIED");
  assert.equal(await errorOf(access, "own account", about("alice", "one")), "DENIED");
});
