import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { FailureLimit, MemoryLimit, perMinute } from "../../src/edge/auth/limits.ts";

const clockAt = (time: number) => {
  const clock = { time, now: () => clock.time };
  return clock;
};

test("where the platform does not count, memory does: by key, for a minute", async () => {
  const clock = clockAt(5000);
  const limit = new FailureLimit({}, "LOGIN_FAILURES", clock);
  for (let failures = 1; failures <= 10; failures++) assert.equal(await limit.count("a"), false);
  assert.equal(limit.isReached("a"), false);
  assert.equal(await limit.count("a"), true);
  assert.deepEqual(
    [limit.isReached("a"), limit.isReached("b"), await limit.count("b")],
    [true, false, false],
  );
  clock.time += 60_000;
  assert.deepEqual([limit.isReached("a"), await limit.count("a")], [false, false]);
});

test("where the platform fails to count, nobody is refused", async () => {
  const limit = async () => {
    throw new Error("out of reach");
  };
  const failures = new FailureLimit({ LOGIN_FAILURES: { limit } }, "LOGIN_FAILURES", clockAt(0));
  assert.deepEqual([await failures.count("a"), failures.isReached("a")], [false, false]);
});

test("what memory holds is bounded: the keys that were not counted for longest are forgotten", async () => {
  const limit = new MemoryLimit(1, clockAt(0));
  for (const key of ["old", "kept"]) await limit.limit({ key });
  for (let i = 0; i < 5000; i++) {
    await limit.limit({ key: `other ${i}` });
    await limit.limit({ key: "kept" });
  }
  assert.deepEqual(await limit.limit({ key: "kept" }), { success: false });
  assert.deepEqual(await limit.limit({ key: "old" }), { success: true });
});

test("the limits are those of wrangler.toml", () => {
  const text = readFileSync("wrangler.toml", "utf8");
  for (const [name, most] of Object.entries(perMinute)) {
    const found = new RegExp(`name = "${name}"\\n.*\\nsimple = \\{ limit = (\\d+), period = 60 \\}`).exec(
      text,
    );
    assert.equal(Number(found?.[1]), most, name);
  }
});
