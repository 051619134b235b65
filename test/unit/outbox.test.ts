import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Outbox } from "../../src/objects/ledger/outbox.ts";
import { hasRow } from "../../src/objects/sql.ts";
import type { Digest, RepositoryName, Tag } from "../../src/oci/reference.ts";
import type { ReplicaKey } from "../../src/storage/replica.ts";
import { getOn } from "../support/get-on.ts";
import { memoryLedger } from "../support/ledger.ts";

test("where there is no replica, nothing is written for it", async () => {
  const { outbox, due, sql, change } = memoryLedger();
  const { claimed } = change((tx) =>
    outbox.claimAfter(tx, () => {
      outbox.mark(tx, { kind: "tag", tag: "latest" as Tag });
      outbox.markAll(tx, "blob", "SELECT 'a' AS id");
    }),
  );
  assert.deepEqual(claimed, []);
  await outbox.flush("team/app" as RepositoryName);
  assert(!hasRow(sql, "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM flights"));
  assert(!due.has("outbox"));
});

/** A ledger with a replica whose writes a test sees, and may hold. */
function replicated(
  put: (key: string) => Promise<void>,
  remove: (key: string) => Promise<void> = async () => {},
) {
  const kv = { put: (key: string) => put(key), delete: (key: string) => remove(key) };
  return memoryLedger({ MANIFESTS: kv as unknown as KVNamespace });
}

const name = "team/app" as RepositoryName;

const latest = { kind: "tag", tag: "latest" as Tag } as const;

/** A ledger whose writes to KV wait until they are let go, or fail: for as long as a test likes. */
function holding({ mock }: TestContext) {
  mock.timers.enable({ apis: ["setTimeout"] });
  const begun: string[] = [];
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const ledger = replicated((key) => {
    begun.push(key);
    return new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
  });
  ledger.outbox.readValue = (key) =>
    key.kind === "tag" ? { kind: "tag", row: { digest: "sha256:a" as Digest, sequence: 1 } } : undefined;
  return {
    ...ledger,
    /** The keys of the writes that were begun. */
    begun,
    /** Marks a row in a transaction of its own, and begins to write it. */
    push: (key: ReplicaKey = latest) => {
      const { claimed } = ledger.change((tx) =>
        ledger.outbox.claimAfter(tx, () => ledger.outbox.mark(tx, key)),
      );
      return ledger.outbox.flush(name, claimed);
    },
    letGo: () => waiting.shift()?.resolve(),
    /** Never lets go what was begun. */
    die: () => void waiting.splice(0),
    lose: () => waiting.shift()?.reject(new Error("KV is out of reach")),
    isDone: () => !hasRow(ledger.sql, "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM flights"),
  };
}

test("a row that changes while it is written is written again afterwards, and not at the same time", async (t) => {
  const { push, begun, letGo, isDone } = holding(t);
  const first = push();
  const second = push();
  await getOn();
  assert.equal(begun.length, 1);
  letGo();
  await getOn();
  assert.equal(begun.length, 2);
  // It is a row of the outbox by now.
  const third = push();
  await getOn();
  assert.equal(begun.length, 2);
  letGo();
  await getOn();
  assert.equal(begun.length, 3);
  letGo();
  await Promise.all([first, second, third]);
  assert(isDone());
});

test("rows that are being written keep no others from it", async (t) => {
  const { outbox, change, begun, letGo } = holding(t);
  const tags = (from: number, to: number) =>
    `WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to}) SELECT 't' || i AS id FROM n`;
  change((tx) => outbox.markAll(tx, "tag", tags(1, 6)));
  const flushing = [outbox.flush(name)];
  await getOn();
  change((tx) => outbox.markAll(tx, "tag", tags(7, 7)));
  flushing.push(outbox.flush(name));
  await getOn();
  assert.equal(begun.at(-1), "tag/team/app:t7");
  for (let index = 0; index < 7; index++) letGo();
  await Promise.all(flushing);
  assert.equal(begun.length, 7);
});

test("a write that failed may land later, so the one after it is repeated once it cannot any more", async (t) => {
  const { push, outbox, due, clock, begun, letGo, lose, isDone } = holding(t);
  const pushing = push();
  await getOn();
  lose();
  await pushing;
  const lostAt = clock.nowMs;
  for (const expected of [2, 3]) {
    assert(!isDone());
    clock.nowMs = due.at("outbox", "") ?? 0;
    const flushing = outbox.flush(name);
    await getOn();
    assert.equal(begun.length, expected);
    letGo();
    await flushing;
  }
  assert(clock.nowMs > lostAt + 5000);
  assert(isDone());
});

test("what an object was writing when it died is written by its next life, and once more", async (t) => {
  for (const isInTable of [false, true]) {
    t.mock.timers.reset();
    const ledger = holding(t);
    const { push, outbox, change, clock, begun, die, letGo, due, isDone } = ledger;
    if (isInTable) {
      change((tx) => outbox.markAll(tx, "tag", "SELECT 'latest' AS id"));
      void outbox.flush(name);
    } else void push();
    await getOn();
    assert.equal(begun.length, 1);
    die();
    const next = new Outbox(ledger);
    next.readValue = outbox.readValue;
    clock.nowMs += 30_000;
    await next.jobs.flight.run([{ id: "1", at: 0 }]);
    for (const expected of [2, 3]) {
      assert(!isDone());
      const flushing = next.flush(name);
      await getOn();
      assert.equal(begun.length, expected, String(isInTable));
      letGo();
      await flushing;
      clock.nowMs = due.at("outbox", "") ?? clock.nowMs;
    }
    assert(isDone());
  }
});

test("a batch that is under way is not taken for one whose object died", async (t) => {
  const { push, outbox, clock, begun, letGo, isDone } = holding(t);
  const pushing = push();
  await getOn();
  clock.nowMs += 30_000;
  await outbox.jobs.flight.run([{ id: "1", at: 0 }]);
  letGo();
  await pushing;
  assert.equal(begun.length, 1);
  assert(isDone());
});

test("a row whose claim was not committed is written by the next one", async (t) => {
  const { outbox, change, begun, letGo } = holding(t);
  change((tx) => outbox.markAll(tx, "tag", "SELECT 'latest' AS id"));
  const claimed = () =>
    change((tx) => {
      outbox.claimAfter(tx, () => {});
      throw new Error("the database is full");
    });
  assert.throws(claimed, /full/);
  const flushing = outbox.flush(name);
  await getOn();
  assert.equal(begun.length, 1);
  letGo();
  await flushing;
});

test("what was written and could not be recorded is written again", async (t) => {
  const { push, outbox, change, sql, clock, begun, letGo } = holding(t);
  change((tx) => outbox.markAll(tx, "tag", "SELECT 'other' AS id"));
  sql.exec(
    "CREATE TRIGGER full BEFORE DELETE ON flights BEGIN SELECT RAISE(FAIL, 'the database is full'); END",
  );
  const pushing = push();
  await getOn();
  assert.deepEqual(begun, ["tag/team/app:other", "tag/team/app:latest"]);
  for (const _ of begun) letGo();
  await assert.rejects(pushing, /full/);
  sql.exec("DROP TRIGGER full");
  clock.nowMs += 30_000;
  await outbox.jobs.flight.run([{ id: "1", at: 0 }]);
  const flushing = outbox.flush(name);
  await getOn();
  assert.deepEqual(begun.slice(2).sort(), ["tag/team/app:latest", "tag/team/app:other"]);
  for (const _ of begun) letGo();
  await flushing;
});

test("a batch has no more rows than can be written before any may land late, each once", async (t) => {
  const { outbox, change, sql } = holding(t);
  const { claimed } = change((tx) =>
    outbox.claimAfter(tx, () => {
      for (let index = 0; index < 30; index++) outbox.mark(tx, { kind: "tag", tag: `t${index}` as Tag });
      outbox.markAll(tx, "tag", "SELECT 't0' AS id");
    }),
  );
  const [{ keys = "" } = {}] = sql.exec<{ keys: string }>("SELECT keys FROM flights").toArray();
  assert.equal(JSON.parse(keys).length, 23);
  const names = claimed.map(({ id }) => id);
  assert.equal(new Set(names).size, names.length);
});

test("one flush writes no more than KV takes of one invocation; the alarm goes on", async () => {
  let operations = 0;
  const ledger = replicated(
    async () => {},
    async () => {
      operations++;
    },
  );
  const { outbox, due, sql, change, clock } = ledger;
  const numbers =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) SELECT 't' || i AS id FROM n";
  change((tx) => outbox.markAll(tx, "tag", numbers));
  const runs: number[] = [];
  for (let run = 0; run < 3; run++) {
    const before = operations;
    await outbox.flush(name);
    runs.push(operations - before);
    assert((due.at("outbox", "") ?? 0) > clock.nowMs, "it is due later");
    clock.nowMs += 1000;
  }
  assert.deepEqual(runs, [504, 504, 192]);
  assert.equal(sql.exec("SELECT count(*) AS count FROM outbox").one().count, 1200, "deletes are repeated");
});

test("a delete is repeated once, as a write that was given up may land after it", async () => {
  const removed: string[] = [];
  const ledger = replicated(
    async () => {},
    async (key) => {
      removed.push(key);
    },
  );
  const { outbox, due, change, clock, sql } = ledger;
  const { claimed } = change((tx) =>
    outbox.claimAfter(tx, () => outbox.mark(tx, { kind: "tag", tag: "latest" as Tag })),
  );
  await outbox.flush(name, claimed);
  const again = due.at("outbox", "");
  assert(again !== undefined && again > clock.nowMs);
  clock.nowMs = again;
  await outbox.flush(name);
  assert.deepEqual(removed, ["tag/team/app:latest", "tag/team/app:latest"]);
  assert(!hasRow(sql, "SELECT 1 FROM outbox"));
});

test("a row that cannot be read holds up no other, and is tried again", async () => {
  const put: string[] = [];
  const ledger = replicated(
    async () => {},
    async (key) => {
      put.push(key);
    },
  );
  const { outbox, change, clock } = ledger;
  const { readValue } = outbox;
  let isDamaged = true;
  outbox.readValue = (key) => {
    if (isDamaged && key.kind === "tag" && key.tag === "a") throw new RangeError("a row is too long");
    return readValue(key);
  };
  const marked = change((tx) =>
    outbox.claimAfter(tx, () => {
      for (const tag of ["a", "b"] as Tag[]) outbox.mark(tx, { kind: "tag", tag });
    }),
  );
  await outbox.flush(name, marked.claimed);
  assert.deepEqual(put, ["tag/team/app:b"]);
  isDamaged = false;
  clock.nowMs += 5000;
  await outbox.flush(name);
  assert.deepEqual(put, ["tag/team/app:b", "tag/team/app:a"]);
});

test("rows that a push has written while orphans were dropped are written again", async () => {
  const rows = new Set<string>();
  let whileDropping = async () => {};
  const ledger = replicated(
    async (key) => {
      rows.add(key);
    },
    async (key) => {
      await whileDropping();
      rows.delete(key);
    },
  );
  const { scrub, outbox, change } = ledger;
  const tag = "latest" as Tag;
  outbox.readValue = (key) =>
    key.kind === "tag" ? { kind: "tag", row: { digest: "sha256:a" as Digest, sequence: 1 } } : undefined;
  let isWritten = false;
  whileDropping = async () => {
    isWritten = true;
    const { claimed } = change((tx) => outbox.claimAfter(tx, () => outbox.mark(tx, { kind: "tag", tag })));
    await outbox.flush(name, claimed);
  };
  await scrub.dropOrphans(() => isWritten, name, [{ kind: "tag", tag }]);
  assert.deepEqual([...rows], ["tag/team/app:latest"]);
});

test("a write that KV never answers is given up, and repeated", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let asked = 0;
  const { outbox, change, due, clock } = replicated(
    async () => {},
    () => (asked++ === 0 ? new Promise(() => {}) : Promise.resolve()),
  );
  const { claimed } = change((tx) =>
    outbox.claimAfter(tx, () => outbox.mark(tx, { kind: "tag", tag: "latest" as Tag })),
  );
  const flushed = outbox.flush(name, claimed);
  await getOn();
  t.mock.timers.tick(30_000);
  await flushed;
  assert.equal(due.at("outbox", ""), clock.nowMs + 5000);
  clock.nowMs += 5000;
  await outbox.flush(name);
  assert.equal(asked, 2);
});
