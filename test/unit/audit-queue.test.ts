import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { AuditQueue, audit } from "../../src/edge/auth/audit.ts";
import { anonymous } from "../../src/edge/auth/authorise.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { NewAuditEntry } from "../../src/rpc/api.ts";

/** A book, what the catalog was told in each call, and pauses that end when they are told to. */
function makeBook(space?: { isDire(): Promise<boolean> }) {
  let now = 1_000_000;
  let calls: NewAuditEntry[][] = [];
  let isReachable = true;
  const pauses: (() => void)[] = [];
  const told: Promise<unknown>[] = [];
  const catalog = {
    audit: async (entries: NewAuditEntry[]) => {
      if (!isReachable) throw new Error("out of reach");
      calls.push(structuredClone(entries));
    },
  };
  const registry = { clock: { now: () => now }, catalog: () => catalog, space } as unknown as Registry;
  const book = new AuditQueue(registry, () => new Promise<void>((resolve) => pauses.push(resolve)));
  return {
    book,
    add: (...entries: NewAuditEntry[]) => book.add(entries, (promise) => told.push(promise)),
    take: () => {
      const taken = calls;
      calls = [];
      return taken;
    },
    /** Lets what waits for a pause go on. */
    async pass() {
      await setImmediate();
      for (const resolve of pauses.splice(0)) resolve();
      await setImmediate();
    },
    told,
    advance: (milliseconds: number) => (now += milliseconds),
    reach: (reachable: boolean) => {
      isReachable = reachable;
    },
  };
}

function refusal(actor: string, target: string): NewAuditEntry {
  const rest = { time: "t", address: "", requestId: "", outcome: "denied" as const };
  return { kind: "refusal", actor, action: "push", target, ...rest };
}

const change: NewAuditEntry = { ...refusal("admin", "alice"), kind: "administration", outcome: "done" };

const summary = (calls: NewAuditEntry[][]) =>
  calls.map((entries) => entries.map(({ actor, target, times = 1 }) => `${actor} ${target} ${times}`));

test("the first refusal is told at once, and those that follow together, after a pause", async () => {
  const { add, take, pass } = makeBook();
  add(refusal("mallory", "a"));
  assert.deepEqual(summary(take()), [["mallory a 1"]]);
  for (let i = 0; i < 1000; i++) add(refusal("mallory", i % 2 === 0 ? "a" : "b"));
  assert.deepEqual(take(), []);
  await pass();
  assert.deepEqual(summary(take()), [["mallory a 500", "mallory b 500"]]);
  await pass();
  assert.deepEqual(take(), []);
});

test("nothing waits for a pause that is over, or for a request that went away", async () => {
  const { add, take, pass, advance, told } = makeBook();
  add(refusal("mallory", "a"));
  await pass();
  add(refusal("mallory", "b"));
  assert.deepEqual(summary(take()), [["mallory a 1"], ["mallory b 1"]]);
  add(refusal("mallory", "c"));
  advance(9_999);
  add(refusal("mallory", "c"));
  assert.deepEqual([take(), told.length], [[], 2]);
  advance(1);
  add(refusal("mallory", "c"));
  assert.deepEqual(summary(take()), [["mallory c 3"]]);
});

test("one actor is listed with a quarter of what may wait, the rest is counted, and others are listed", async () => {
  const { add, take, pass } = makeBook();
  add(refusal("mallory", "first"));
  take();
  for (let i = 0; i < 10_000; i++) add(refusal("mallory", `target ${i}`));
  add(refusal("alice", "a"));
  await pass();
  const [lines = []] = summary(take());
  assert.equal(lines.length, 52);
  assert.deepEqual(lines.slice(-2), ["mallory * 9950", "alice a 1"]);
});

test("however many actors are refused, no more is listed than may wait, and one line for each", async () => {
  const { add, take, pass } = makeBook();
  add(refusal("first", "first"));
  take();
  for (let actor = 0; actor < 10; actor++) {
    for (let i = 0; i < 100; i++) add(refusal(`actor ${actor}`, `target ${i}`));
  }
  await pass();
  const [lines = []] = summary(take());
  assert(lines.length <= 210, `${lines.length} lines`);
  const times = lines.map((line) => Number(line.split(" ").at(-1)));
  assert.equal(
    times.reduce((sum, each) => sum + each, 0),
    1000,
  );
});

test("what was done goes at once, after the refusals that wait", () => {
  const { add, take } = makeBook();
  add(refusal("mallory", "a"));
  add(refusal("mallory", "b"));
  add(change);
  assert.deepEqual(summary(take()), [["mallory a 1"], ["mallory b 1", "admin alice 1"]]);
});

test("what waits can be told now, and is told once", async () => {
  const { book, add, take, pass } = makeBook();
  add(refusal("mallory", "a"));
  add(refusal("mallory", "b"));
  await book.flush();
  await pass();
  assert.deepEqual(summary(take()), [["mallory a 1"], ["mallory b 1"]]);
});

test("a catalog out of reach fails nothing", async () => {
  const { add, take, pass, told, reach } = makeBook();
  reach(false);
  add(refusal("mallory", "a"), change);
  await pass();
  await Promise.all(told);
  reach(true);
  add(refusal("mallory", "b"));
  assert.deepEqual(summary(take()), [["mallory b 1"]]);
});

test("when the disk is as good as full, only what administrators did is still told", async () => {
  let isDire = true;
  const { add, take, pass, told } = makeBook({ isDire: async () => isDire });
  const use: NewAuditEntry = { ...change, kind: "use", actor: "alice" };
  add(refusal("mallory", "a"), use, change);
  await pass();
  await Promise.all(told);
  assert.deepEqual(summary(take()), [["admin alice 1"]]);
  isDire = false;
  add(use);
  await Promise.all(told);
  assert.deepEqual(summary(take()), [["alice alice 1"]]);
});

test("each text of an entry is cut, whoever chose it", async (t) => {
  t.mock.method(console, "log", () => {});
  const told: NewAuditEntry[] = [];
  const catalog = { audit: async (entries: NewAuditEntry[]) => told.push(...entries) };
  const registry = { clock: { now: () => 0 }, catalog: () => catalog } as unknown as Registry;
  const long = "x".repeat(5000);
  const context = {
    registry,
    access: { ...anonymous, account: long },
    address: "192.0.2.1",
    requestId: "",
    waitUntil: () => {},
  };
  audit(context, { action: long, target: long, outcome: "done", detail: long });
  await setImmediate();
  const [{ actor, action, target, detail = "" } = { actor: "", action: "", target: "" }] = told;
  assert.deepEqual(
    [actor, action, target, detail].map(({ length }) => length),
    [600, 100, 400, 1000],
  );
});
