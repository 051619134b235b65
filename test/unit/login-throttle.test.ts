import assert from "node:assert/strict";
import test from "node:test";
import { LoginThrottle } from "../../src/edge/auth/login-throttle.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { NameFilter } from "../../src/rpc/name-filter.ts";
import { afterTest } from "../support/ends.ts";

const minute = 60_000;

/** A throttle, with a catalog that has these accounts and answers when it is told to. */
function makeThrottle(...accounts: string[]) {
  let now = 1_000_000;
  let calls = 0;
  let isReachable = true;
  let answered: Promise<void> = Promise.resolve();
  const catalog = {
    accountNames: async () => {
      calls++;
      await answered;
      if (!isReachable) throw new Error("out of reach");
      const filter = new NameFilter();
      for (const name of accounts) filter.add(name);
      return filter.bytes;
    },
  };
  const clock = { now: () => now };
  const throttle = new LoginThrottle({
    rateLimits: {},
    clock,
    catalog: () => catalog,
  } as unknown as Registry);
  return {
    throttle,
    accounts,
    advance: (milliseconds: number) => (now += milliseconds),
    takeCalls: () => {
      const taken = calls;
      calls = 0;
      return taken;
    },
    /** Lets the catalog answer no more until the returned function is called. */
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      answered = promise;
      return resolve;
    },
    reach: (reachable: boolean) => {
      isReachable = reachable;
    },
  };
}

test("names are asked for once a minute, however many are looked up", async () => {
  const { throttle, accounts, advance, takeCalls } = makeThrottle("alice");
  for (const name of ["bob", "alice", "carol"])
    assert.equal(await throttle.mayBeKnown(name), name === "alice");
  accounts.push("bob");
  advance(minute - 1);
  assert.equal(await throttle.mayBeKnown("bob"), false);
  assert.equal(takeCalls(), 1);
  advance(1);
  assert.equal(await throttle.mayBeKnown("bob"), true);
  assert.equal(takeCalls(), 1);
});

test("while one request asks, the others make do with what there is", async () => {
  const { throttle, advance, takeCalls, hold } = makeThrottle("alice");
  const answer = hold();
  const first = throttle.mayBeKnown("bob");
  assert.equal(await throttle.mayBeKnown("bob"), true, "nothing is known yet: it is looked up");
  assert.equal(takeCalls(), 1);
  advance(2_000);
  const second = throttle.mayBeKnown("bob");
  assert.equal(takeCalls(), 1, "the first may have gone away");
  answer();
  assert.deepEqual(await Promise.all([first, second]), [false, false]);
  advance(minute);
  const third = hold();
  const asking = throttle.mayBeKnown("bob");
  assert.deepEqual([await throttle.mayBeKnown("bob"), await throttle.mayBeKnown("alice")], [false, true]);
  third();
  await asking;
});

test("where the names cannot be had, those of before go on", async () => {
  const { throttle, advance, takeCalls, reach } = makeThrottle("alice");
  await throttle.mayBeKnown("alice");
  advance(minute);
  reach(false);
  await assert.rejects(throttle.mayBeKnown("alice"));
  assert.deepEqual([await throttle.mayBeKnown("alice"), await throttle.mayBeKnown("bob")], [true, false]);
  assert.equal(takeCalls(), 2);
});

test("a new account is known at once", async () => {
  const { throttle } = makeThrottle();
  assert.equal(await throttle.mayBeKnown("alice"), false);
  throttle.addName("alice");
  assert.equal(await throttle.mayBeKnown("alice"), true);
});

test("an account has one first try a minute from each network", () => {
  const { throttle, advance } = makeThrottle();
  const tries = (network: string | undefined, name: string) =>
    throttle.acquireForFirstAttempt(network, name) !== undefined;
  for (const network of ["192.0.2.1", "192.0.2.2", undefined]) {
    assert.deepEqual(
      [tries(network, "alice"), tries(network, "alice"), tries(network, "bob")],
      [true, false, true],
    );
  }
  advance(minute - 1);
  assert.equal(tries("192.0.2.1", "alice"), false);
  advance(1);
  assert.equal(tries("192.0.2.1", "alice"), true);
});

test("first tries and new passwords have places when those of everybody are taken", () => {
  const { throttle } = makeThrottle();
  const count = (take: (number: number) => unknown) =>
    Array.from({ length: 500 }, (_, number) => take(number)).filter((place) => place !== undefined).length;
  assert.equal(
    count(() => throttle.acquire(undefined)),
    16,
  );
  assert.equal(
    count((number) => throttle.acquireForFirstAttempt("192.0.2.1", `account-${number}`)),
    32,
  );
  assert.equal(
    count((number) => throttle.acquireForFirstAttempt(undefined, `account-${number}`)),
    96,
  );
  assert.equal(throttle.acquireForNewPassword("192.0.2.2"), undefined);
});

test("an account that found no place still has its first try", () => {
  const { throttle } = makeThrottle();
  const places = Array.from({ length: 32 }, () => throttle.acquireForNewPassword("192.0.2.1"));
  assert.equal(throttle.acquireForFirstAttempt("192.0.2.1", "alice"), undefined);
  places[0]?.release();
  assert.notEqual(throttle.acquireForFirstAttempt("192.0.2.1", "alice"), undefined);
});

test("a refusal waits for what is left of 200 ms, also where the clock was put back", async (t) => {
  const waited: number[] = [];
  const given = Reflect.get(globalThis, "scheduler");
  afterTest(t, () => Object.assign(globalThis, { scheduler: given }));
  Object.assign(globalThis, { scheduler: { wait: async (ms: number) => waited.push(ms) } });
  const { throttle, advance } = makeThrottle();
  const arrivedAt = advance(0);
  await throttle.waitBeforeRefusal(arrivedAt);
  await throttle.waitBeforeRefusal(arrivedAt + minute);
  advance(150);
  await throttle.waitBeforeRefusal(arrivedAt);
  advance(50);
  await throttle.waitBeforeRefusal(arrivedAt);
  assert.deepEqual(waited, [200, 200, 50]);
});
