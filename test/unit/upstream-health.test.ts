/** When an upstream is left alone, and how many fetches it has at once. */
import assert from "node:assert/strict";
import test from "node:test";
import { UpstreamHealth } from "../../src/objects/upstream/health.ts";
import { Places, placeMs } from "../../src/objects/upstream/places.ts";

function withClock() {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs };
  return { clock, health: new UpstreamHealth(clock), places: new Places(clock) };
}

test("an upstream is left alone after three failures in a row, for longer with each", () => {
  const { clock, health } = withClock();
  for (let failures = 0; failures < 3; failures++) {
    assert.equal(health.refusal("a:1"), undefined);
    health.note({ outcome: "down" });
  }
  assert.deepEqual(health.refusal("a:1"), { ok: false, reason: "down", retryAfterMs: 5000 });
  clock.nowMs += 5000;
  assert.equal(health.refusal("a:1"), undefined);
  // The others wait for what comes of the one.
  assert.equal(health.refusal("a:2")?.reason, "down");
  health.note({ outcome: "down" });
  assert.equal(health.refusal("a:1")?.retryAfterMs, 10_000);
  clock.nowMs += 10_000;
  assert.equal(health.refusal("a:1"), undefined);
  health.note({ outcome: "answered" });
  assert.equal(health.refusal("a:2"), undefined);
});

test("an upstream that fails on and on is asked every minute", () => {
  const { clock, health } = withClock();
  for (let failures = 0; failures < 2000; failures++) health.note({ outcome: "down" });
  assert.equal(health.refusal("a:1")?.retryAfterMs, 60_000);
  clock.nowMs += 60_000;
  assert.equal(health.refusal("a:1"), undefined);
});

test("failures that are not in a row are tolerated", () => {
  const { health } = withClock();
  for (let round = 0; round < 10; round++) {
    health.note({ outcome: "down" });
    health.note({ outcome: "down" });
    health.note({ outcome: "absent", reference: "a:1" });
  }
  assert.equal(health.refusal("a:2"), undefined);
});

test("what was absent is so for a minute, and only that", () => {
  const { clock, health } = withClock();
  health.note({ outcome: "absent", reference: "a:1" });
  assert.equal(health.refusal("a:1")?.reason, "absent");
  assert.equal(health.refusal("a:2"), undefined);
  clock.nowMs += 60_000;
  assert.equal(health.refusal("a:1"), undefined);
});

test("not more than ten thousand references are remembered", () => {
  const { health } = withClock();
  for (let index = 0; index <= 10_000; index++) health.note({ outcome: "absent", reference: `a:${index}` });
  assert.equal(health.state().absent, 10_000);
  assert.equal(health.refusal("a:0"), undefined);
  assert.equal(health.refusal("a:10000")?.reason, "absent");
});

test("an upstream that is asked too often is left alone as long as it says, at most an hour", () => {
  const { clock, health } = withClock();
  health.note({ outcome: "limited", retryAfterMs: 90_000 });
  assert.deepEqual(health.refusal("a:1"), { ok: false, reason: "limited", retryAfterMs: 90_000 });
  clock.nowMs += 90_000;
  assert.equal(health.refusal("a:1"), undefined);
  health.note({ outcome: "limited", retryAfterMs: 86_400_000 });
  assert.equal(health.refusal("a:1")?.retryAfterMs, 3_600_000);
});

test("or half a minute, if it does not say how long", () => {
  const { health } = withClock();
  health.note({ outcome: "limited" });
  assert.equal(health.refusal("a:1")?.retryAfterMs, 30_000);
});

test("what was absent again is so for a minute from then on", () => {
  const { clock, health } = withClock();
  health.note({ outcome: "absent", reference: "a:1" });
  clock.nowMs += 30_000;
  health.note({ outcome: "absent", reference: "a:1" });
  clock.nowMs += 30_000;
  assert.equal(health.refusal("a:1")?.reason, "absent");
});

test("references are forgotten once they may be asked for again", () => {
  const { clock, health } = withClock();
  for (const reference of ["a:1", "a:2"]) health.note({ outcome: "absent", reference });
  clock.nowMs += 30_000;
  health.note({ outcome: "absent", reference: "a:1" });
  clock.nowMs += 30_000;
  health.note({ outcome: "absent", reference: "a:3" });
  assert.equal(health.state().absent, 2);
});

test("places are leased: one that is not heard of is free again", () => {
  const { clock, places } = withClock();
  assert.equal(places.take("one", 2), true);
  assert.equal(places.take("two", 2), true);
  assert.equal(places.take("three", 2), false);
  clock.nowMs += placeMs - 1;
  assert.equal(places.take("two", 2), true);
  clock.nowMs += 1;
  assert.equal(places.take("three", 2), true);
  assert.equal(places.taken(), 2);
  places.leave("three");
  assert.equal(places.take("four", 2), true);
});
