/** Callers who ask for repositories that are neither public nor theirs. */
import assert from "node:assert/strict";
import test from "node:test";
import { anonymous, mayEverybodyPull } from "../../src/edge/auth/authorise.ts";
import type { Access } from "../../src/edge/context.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { afterTest } from "../support/ends.ts";

/** A registry without anything public, whose index answers when it is told to. `refused`: keys that missed too often. */
function makeRegistry(refused: string[] = []) {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs };
  let calls = 0;
  let answered: Promise<void> = Promise.resolve();
  const part = {
    mayBePublic: async () => {
      calls++;
      await answered;
      return false;
    },
  };
  const limit = async ({ key }: { key: string }) => ({ success: !refused.includes(key) });
  const registry = {
    clock,
    rateLimits: { ANONYMOUS_MISSES: { limit } },
    settings: { upstreams: [] },
    visibilities: new Map(),
    objects: { NAME_INDEX: { getByName: () => part } },
  } as unknown as Registry;
  const ask = (account?: string, number = 0) => {
    const access: Access =
      account === undefined ? anonymous : { ...anonymous, account, credential: "password" };
    return mayEverybodyPull({ registry, access, address: "192.0.2.1" }, `guess/r${number}` as RepositoryName);
  };
  return {
    ask,
    clock,
    calls: () => calls,
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      answered = promise;
      return resolve;
    },
  };
}

test("of one caller no more than 32 look-ups are in flight, and those of others go on", async (t) => {
  const { ask, calls, hold } = makeRegistry();
  const release = hold();
  afterTest(t, release);
  const asked = Array.from({ length: 40 }, (_, number) => ask("mallory", number));
  assert.equal(calls(), 32);
  assert.deepEqual(await Promise.all(asked.slice(32)), Array(8).fill(false));
  const others = [ask("alice"), ask()];
  assert.equal(calls(), 34);
  release();
  await Promise.all([...asked, ...others]);
  await ask("mallory");
  assert.equal(calls(), 35);
});

test("look-ups of clients that have left count for ten seconds, and no longer than that", async (t) => {
  const { ask, calls, clock, hold } = makeRegistry();
  const release = hold();
  afterTest(t, release);
  const left = Array.from({ length: 32 }, (_, number) => ask("alice", number));
  clock.nowMs += 9_999;
  assert.equal(await ask("alice"), false);
  assert.equal(calls(), 32);
  clock.nowMs += 1;
  const asked = ask("alice");
  assert.equal(calls(), 33);
  release();
  await Promise.all([...left, asked]);
  // What ended at last is not counted twice.
  const release2 = hold();
  afterTest(t, release2);
  const again = Array.from({ length: 33 }, (_, number) => ask("alice", 100 + number));
  assert.equal(calls(), 65);
  release2();
  await Promise.all(again);
});

test("nor if the clock is set back", async (t) => {
  const { ask, calls, clock, hold } = makeRegistry();
  afterTest(t, hold());
  for (let number = 0; number < 32; number++) void ask("alice", number);
  clock.nowMs -= 3_600_000;
  void ask("alice", 32);
  assert.equal(calls(), 33);
});

test("who missed too often has nothing looked up: an account by its name, others by their network", async () => {
  for (const [guesser, other, key] of [
    ["mallory", "alice", "account mallory"],
    ["mallory", undefined, "account mallory"],
    [undefined, "alice", "192.0.2.1"],
  ] as const) {
    const { ask, calls } = makeRegistry([key]);
    await ask(guesser);
    await ask(guesser);
    assert.equal(calls(), 1, key);
    await ask(other);
    await ask(other);
    assert.equal(calls(), 3, key);
  }
});
