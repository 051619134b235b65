/** What a login leaves in memory: bounded keys, and no place that nobody needs any more. */
import assert from "node:assert/strict";
import test from "node:test";
import { authCacheOf, logInByPassword } from "../../src/edge/auth/authenticate.ts";
import { deriveNewPassword, type LoginCache } from "../../src/edge/auth/login.ts";
import type { Registry } from "../../src/registry/registry.ts";

test("failures are counted by an address and the beginning of a name, however long that is", async () => {
  const keys: string[] = [];
  const limit = async ({ key }: { key: string }) => {
    keys.push(key);
    return { success: true };
  };
  const registry = {
    clock: { now: () => 0 },
    settings: {},
    rateLimits: { LOGIN_FAILURES: { limit } },
    catalog: () => ({ account: async () => undefined }),
  } as unknown as Registry;
  const credentials = { name: "a".repeat(5000), password: "guess" };
  const loggedIn = await logInByPassword(authCacheOf(registry), credentials, "192.0.2.1");
  assert.equal(loggedIn.ok, false);
  assert.deepEqual(keys, [`192.0.2.1 ${"a".repeat(100)}`]);
});

test("a new password gives back its place once it is hashed", async () => {
  let held = 0;
  const start = async () => assert.equal(held, 1);
  const throttle = {
    acquireForNewPassword: () => {
      held++;
      return { start, release: () => held-- };
    },
  };
  const cache = { throttle } as unknown as LoginCache;
  const derived = await deriveNewPassword(cache, "a long password", "192.0.2.1");
  assert(derived.ok);
  assert.equal(held, 0);
});
