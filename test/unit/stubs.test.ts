import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/env.ts";
import { catalogStub, Unreachable } from "../../src/objects/stubs.ts";

/** A catalog whose first call fails in this way, after it has done what it was asked for; and how often it was asked. */
function failingOnce(trouble: { retryable?: boolean; overloaded?: boolean }) {
  const asked: string[] = [];
  const answer = (method: string) => async () => {
    asked.push(method);
    if (asked.length === 1) throw Object.assign(new Error("Network connection lost."), trouble);
    return false;
  };
  const stub = new Proxy({}, { get: (_, method) => answer(String(method)) });
  const env = { CATALOG: { getByName: () => stub } } as unknown as Env;
  return { catalog: catalogStub(env), asked };
}

test("a call that may be repeated is repeated once, where the platform says that this helps", async () => {
  const { catalog, asked } = failingOnce({ retryable: true });
  await catalog.account("somebody");
  assert.deepEqual(asked, ["account", "account"]);
});

test("a call is not repeated where its object is overloaded, or has failed", async () => {
  for (const trouble of [{ retryable: true, overloaded: true }, {}]) {
    const { catalog, asked } = failingOnce(trouble);
    await assert.rejects(catalog.account("somebody"), Unreachable);
    assert.deepEqual(asked, ["account"]);
  }
});

test("a deletion is not repeated, as it may have been done: the second would say that there is nothing", async () => {
  const deletions = [
    (catalog: ReturnType<typeof catalogStub>) => catalog.deleteAccount("somebody"),
    (catalog: ReturnType<typeof catalogStub>) => catalog.deleteToken("somebody", "token"),
  ];
  for (const deletion of deletions) {
    const { catalog, asked } = failingOnce({ retryable: true });
    await assert.rejects(deletion(catalog), Unreachable);
    assert.equal(asked.length, 1);
  }
});
