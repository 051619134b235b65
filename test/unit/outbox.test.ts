import assert from "node:assert/strict";
import test from "node:test";
import { hasRow } from "../../src/objects/sql.ts";
import type { Digest, RepositoryName, Tag } from "../../src/oci/reference.ts";
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
  for (let turn = 0; turn < 50; turn++) await null;
  t.mock.timers.tick(30_000);
  await flushed;
  assert.equal(due.at("outbox", ""), clock.nowMs + 5000);
  clock.nowMs += 5000;
  await outbox.flush(name);
  assert.equal(asked, 2);
});
