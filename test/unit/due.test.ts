/** What an object does later, and how seldom it sets its alarm for that. */

import assert from "node:assert/strict";
import test from "node:test";
import { type DueColumn, DueTable } from "../../src/objects/due.ts";
import { transaction } from "../../src/objects/sql.ts";
import { getOn } from "../support/get-on.ts";
import { memoryStorage } from "../support/sqlite.ts";

const startMs = 1_700_000_000_000;

const column: DueColumn = { table: "things", id: "name", at: "due_at", isDue: "due_at IS NOT NULL" };

/** A table in memory, whose alarm is `setTo` already, and the times that it is set to from then on. */
function makeDue(setTo: number | null = null) {
  const alarms: number[] = [];
  const clock = { nowMs: startMs, now: () => clock.nowMs };
  const storage: DurableObjectStorage = Object.assign(memoryStorage(), {
    getAlarm: async () => setTo,
    setAlarm: async (at: number) => {
      alarms.push(at - startMs);
    },
  });
  const { sql } = storage;
  sql.exec("CREATE TABLE things (name TEXT PRIMARY KEY, due_at INTEGER)");
  const due = new DueTable(storage, clock, { thing: column });
  const addThing = (name: string, at: number) =>
    sql.exec("INSERT INTO things (name, due_at) VALUES (?, ?)", name, startMs + at);
  const set = (id: string, at: number) => transaction(storage, (tx) => due.set(tx, "other", id, at));
  const clear = (id: string) => transaction(storage, (tx) => due.clear(tx, "other", id));
  return { due, alarms, clock, storage, sql, addThing, set, clear };
}

const first: AlarmInvocationInfo = { isRetry: false, retryCount: 0, scheduledTime: startMs };
const repeated: AlarmInvocationInfo = { isRetry: true, retryCount: 1, scheduledTime: startMs };

test("an alarm is set for what is due first, in whichever table, and left for what is due later", () => {
  const { due, alarms, addThing, set } = makeDue();
  addThing("a", 5000);
  set("x", startMs + 9000);
  due.arm();
  set("y", startMs + 7000);
  due.arm();
  set("z", startMs + 3000);
  due.arm();
  assert.deepEqual(alarms, [5000, 3000]);
});

test("an object that wakes sets its alarm only where none comes early enough", async () => {
  for (const { setTo, expected } of [
    { setTo: startMs + 1000, expected: [] },
    { setTo: startMs - 60_000, expected: [] },
    { setTo: null, expected: [5000] },
    { setTo: startMs + 9000, expected: [5000] },
    // One that should have come long ago was given up.
    { setTo: startMs - 600_000, expected: [5000] },
  ]) {
    const { due, alarms, addThing } = makeDue(setTo);
    addThing("a", 5000);
    await due.wake();
    due.arm();
    assert.deepEqual(alarms, expected, String(setTo));
  }
});

test("what a request makes due before it is known which alarm is set is not forgotten", async () => {
  const { due, alarms, addThing } = makeDue(startMs + 9000);
  const waking = due.wake();
  addThing("a", 5000);
  due.arm();
  assert.deepEqual(alarms, []);
  await waking;
  assert.deepEqual(alarms, [5000]);
});

test("an object that cannot find out which alarm is set sets one as usual", async () => {
  const { due, alarms, storage, addThing } = makeDue();
  storage.getAlarm = () => Promise.reject(new Error("the storage is out of reach"));
  await assert.rejects(due.wake());
  addThing("a", 5000);
  due.arm();
  assert.deepEqual(alarms, [5000]);
});

test("an alarm that runs sets the next one once, when it ends", async () => {
  const { due, alarms, clock, sql, addThing, set } = makeDue();
  addThing("a", 0);
  addThing("b", 8000);
  clock.nowMs += 1;
  const seen: string[] = [];
  const setMeanwhile: number[] = [];
  const jobs = {
    thing: async (rows: { id: string }[]) => {
      seen.push(...rows.map(({ id }) => id));
      sql.exec("UPDATE things SET due_at = NULL WHERE name = 'a'");
      // Somebody else's request comes in between.
      set("x", startMs + 6000);
      due.arm();
      setMeanwhile.push(...alarms);
    },
  };
  await due.runAlarm(jobs, first);
  assert.deepEqual([seen, setMeanwhile, alarms], [["a"], [], [6000]]);
});

test("an alarm after which nothing is due sets none", async () => {
  const { due, alarms, sql, addThing } = makeDue();
  addThing("a", 0);
  await due.runAlarm({ thing: async () => void sql.exec("DELETE FROM things") }, first);
  assert.deepEqual(alarms, []);
});

test("an alarm that is repeated, as the object died in it, sets the next one before it works", async () => {
  const { due, alarms, sql, addThing } = makeDue();
  addThing("a", 0);
  const seen: number[][] = [];
  const job = async () => {
    seen.push([...alarms]);
    sql.exec("DELETE FROM things");
  };
  await due.runAlarm({ thing: job }, repeated);
  assert.deepEqual(seen, [[30_000]]);
  assert.deepEqual(alarms, [30_000]);
});

test("an alarm that cannot set the next one fails, and keeps neither another run nor other alarms from it", async () => {
  const { due, alarms, storage, sql, addThing } = makeDue();
  addThing("a", 0);
  const { setAlarm } = storage;
  storage.setAlarm = () => Promise.reject(new Error("the storage is out of reach"));
  await assert.rejects(due.runAlarm({}, repeated));
  storage.setAlarm = setAlarm;
  await due.run({ thing: async () => void sql.exec("UPDATE things SET due_at = ?", startMs + 5000) });
  assert.deepEqual(alarms, [5000]);
});

test("a job works for its budget, and the rest of its rows waits until others had their turn", async () => {
  const { due, clock, sql, addThing, set } = makeDue();
  for (let index = 0; index < 250; index++) addThing(`a${index}`, 0);
  set("x", startMs);
  const counts: [kind: string, rows: number][] = [];
  const jobs = {
    thing: async (rows: { id: string }[]) => {
      counts.push(["thing", rows.length]);
      clock.nowMs += 600;
      for (const { id } of rows) sql.exec("DELETE FROM things WHERE name = ?", id);
    },
    other: async (rows: { id: string }[]) => {
      counts.push(["other", rows.length]);
      sql.exec("DELETE FROM due");
    },
  };
  assert.equal(await due.run(jobs, 1000), true);
  assert.deepEqual(counts, [
    ["thing", 100],
    ["thing", 100],
    ["other", 1],
  ]);
});

test("a run that is asked for begins nothing once its time is over", async (t) => {
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const { due, sql, addThing } = makeDue();
  for (let index = 0; index < 150; index++) addThing(`a${index}`, 0);
  const counts: number[] = [];
  const work = async (rows: { id: string }[]) => {
    counts.push(rows.length);
    nowMs += 1000;
    for (const { id } of rows) sql.exec("DELETE FROM things WHERE name = ?", id);
  };
  assert.equal(await due.run({ thing: work }, 10_000, 1000), true);
  assert.deepEqual(counts, [100]);
});

test("a run ends where everything is deleted while it lets other calls in", async (t) => {
  const { due, alarms, sql, addThing, set } = makeDue();
  addThing("a", 0);
  set("x", startMs);
  t.mock.method(scheduler, "wait", async () => {
    sql.exec("DROP TABLE things; DROP TABLE due");
  });
  await due.runAlarm({ thing: async () => {}, other: async () => assert.fail("it is gone") }, first);
  assert.deepEqual(alarms, []);
});

test("rows that a job leaves as they are come again later, and those that it made due anew when they are", async () => {
  const { due, alarms, clock, sql, addThing } = makeDue();
  addThing("left", 0);
  addThing("moved", 0);
  clock.nowMs += 1;
  await due.runAlarm(
    { thing: async () => void sql.exec("UPDATE things SET due_at = ? WHERE name = 'moved'", startMs + 5000) },
    first,
  );
  assert.deepEqual(alarms, [5000]);
  const rows = sql.exec<{ name: string; at: number }>("SELECT name, due_at AS at FROM things ORDER BY name");
  assert.deepEqual(
    rows.toArray().map(({ name, at }) => [name, at - startMs]),
    [
      ["left", 30_001],
      ["moved", 5000],
    ],
  );
});

test("the table is made with its first row, and an object without any has nothing due", () => {
  const { due, alarms, set, clear } = makeDue();
  clear("x");
  assert.equal(due.at("other", "x"), undefined);
  due.arm();
  assert.deepEqual(alarms, []);
  set("x", startMs + 1);
  assert.equal(due.at("other", "x"), startMs + 1);
});

test("a job that never ends holds up no other, and is run again only once it has ended", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { due, alarms, clock, sql, addThing, set } = makeDue();
  addThing("stuck", 0);
  set("x", startMs);
  clock.nowMs += 1;
  const hanging = Promise.withResolvers<void>();
  const seen: string[] = [];
  const jobs = {
    thing: async (rows: { id: string }[]) => {
      seen.push(...rows.map(({ id }) => id));
      await hanging.promise;
    },
    other: async (rows: { id: string }[]) => {
      seen.push(...rows.map(({ id }) => id));
      sql.exec("DELETE FROM due");
    },
  };
  const run = due.runAlarm(jobs, first);
  await hasSeen(seen, ["stuck"]);
  t.mock.timers.tick(149_999);
  await hasSeen(seen, ["stuck"]);
  t.mock.timers.tick(1);
  await run;
  assert.deepEqual(seen, ["stuck", "x"]);
  assert.deepEqual(alarms, [30_001]);
  // It still runs when its row is due again: that is postponed once more.
  clock.nowMs = startMs + 30_001;
  await due.runAlarm(jobs, first);
  assert.deepEqual(
    [seen, alarms],
    [
      ["stuck", "x"],
      [30_001, 60_001],
    ],
  );
  hanging.resolve();
  clock.nowMs = startMs + 60_001;
  await hasSeen(seen, ["stuck", "x"]);
  await due.runAlarm(jobs, first);
  assert.deepEqual(seen, ["stuck", "x", "stuck"]);
});

/** Asserts what was seen, once everything has gone on that can. */
async function hasSeen(seen: string[], expected: string[]): Promise<void> {
  await getOn();
  assert.deepEqual(seen, expected);
}

test("a run that is asked for answers in time, whatever its jobs or an alarm do, and says that there is more", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const mostMs = 60_000;
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  /** The answer of a run of which something takes for ever. */
  const answerInTime = async (running: Promise<boolean>) => {
    await getOn();
    nowMs += mostMs;
    t.mock.timers.tick(mostMs);
    return await running;
  };
  const never = () => new Promise<void>(() => {});
  const { due, addThing, set, clock } = makeDue();
  addThing("a", 0);
  clock.nowMs += 1;
  assert.equal(await answerInTime(due.run({ thing: never }, 1000, mostMs)), true);
  set("x", startMs);
  // The job that is under way is not run again, and others are.
  const seen: string[] = [];
  const other = async (rows: { id: string }[]) => {
    seen.push(...rows.map(({ id }) => id));
  };
  assert.equal(await due.run({ thing: never, other }, 1000, mostMs), true);
  assert.deepEqual(seen, ["x"]);

  const { due: busy, addThing: add } = makeDue();
  add("a", 0);
  const { promise, resolve } = Promise.withResolvers<void>();
  const alarm = busy.runAlarm({ thing: () => promise }, first);
  const whenItsTurnCame: string[] = [];
  const waiting = busy.run({ thing: async () => void whenItsTurnCame.push("a") }, 1000, mostMs);
  assert.equal(await answerInTime(waiting), true);
  resolve();
  await alarm;
  // Its turn comes too late.
  assert.equal(await busy.run({ other: async () => {} }, 1000, mostMs), false);
  assert.deepEqual(whenItsTurnCame, []);
});
