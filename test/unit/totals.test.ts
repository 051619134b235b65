/** What a repository holds, as its ledger counts it. */
import assert from "node:assert/strict";
import test from "node:test";
import { countTotals, KeptTotals } from "../../src/objects/ledger/totals.ts";
import { readRows } from "../../src/objects/sql.ts";
import { largeLedger, memoryLedger } from "../support/ledger.ts";

const number = (sql: SqlStorage, query: `SELECT ${string}`) =>
  Number(Object.values(readRows(sql, query)[0] ?? {})[0]);

test("a large repository is counted range by range, each digest once, and others are served in between", async (t) => {
  const manifestCount = 4_000;
  const { sql, change } = largeLedger(manifestCount, {});
  change((tx) => {
    tx.write(
      "UPDATE manifests SET kind = 'image', platforms = '[\"linux/amd64\"]' WHERE digest > 'sha256:8'",
    );
    tx.write(
      "UPDATE manifests SET kind = 'chart', pushed_at = 7, pushed_by = 'ada' WHERE digest > 'sha256:f'",
    );
    tx.write(`INSERT INTO tags (tag, digest, sequence, moved_at)
      SELECT 'sha256-' || substr(digest, 8) || '.sig', digest, 1, 1 FROM tags LIMIT 3`);
    // Nothing names it.
    const sha512 = `sha512:${"ab".repeat(64)}`;
    tx.write("INSERT INTO blobs (digest, key, size, renewed_at) VALUES (?, 'blobs/x', 77, 1)", sha512);
  });
  let turns = 0;
  t.mock.method(scheduler, "wait", async () => {
    turns++;
  });
  const { usage, summary } = await countTotals(sql);
  assert(turns >= 2 && turns < sql.databaseSize / 1_000_000, `${turns} turns`);
  const references = number(sql, "SELECT count(*) FROM manifest_references");
  const blobs = number(sql, "SELECT count(*) FROM blobs");
  const bytes = manifestCount * 400;
  const stored = { objects: manifestCount + blobs, bytes: bytes + 1000 * (blobs - 1) + 77 };
  const logical = { objects: manifestCount + references + 1, bytes: bytes + 1000 * references + 77 };
  assert.deepEqual(usage, {
    manifests: manifestCount,
    tags: manifestCount + 3,
    blobs,
    blobBytes: stored.bytes - bytes,
    ledgerBytes: sql.databaseSize,
    ...{ logical, stored },
  });
  assert.deepEqual(summary, {
    ...{ tags: manifestCount, manifests: manifestCount, logical, stored },
    ...{ pushedAtMs: 7, pushedBy: "ada", kinds: ["chart", "image"], platforms: ["linux/amd64"] },
  });
});

test("totals are kept, counted once for all who ask, and counted again after a failure", async () => {
  const { sql } = memoryLedger();
  const kept = new KeptTotals();
  const broken = {
    ...sql,
    databaseSize: 1,
    exec: () => assert.fail("the disk cannot be read"),
  } as SqlStorage;
  await assert.rejects(kept.of(broken, 1, 0), /cannot be read/);
  const [one, other] = [kept.of(sql, 1, 0), kept.of(broken, 1, 0)];
  assert.equal(await one, await other);
  assert.equal(await kept.of(broken, 1, 59_999), await one);
  await assert.rejects(kept.of(broken, 2, 0), /cannot be read/);
  await assert.rejects(kept.of(broken, 1, 60_000), /cannot be read/);
});

test("a repository without content holds nothing", async () => {
  const { usage, summary } = await countTotals(memoryLedger().sql);
  const nothing = { objects: 0, bytes: 0 };
  const { ledgerBytes, ...rest } = usage;
  assert(ledgerBytes > 0);
  assert.deepEqual(rest, {
    manifests: 0,
    tags: 0,
    blobs: 0,
    blobBytes: 0,
    logical: nothing,
    stored: nothing,
  });
  assert.deepEqual(summary, {
    ...{ tags: 0, manifests: 0, logical: nothing, stored: nothing, kinds: [], platforms: [] },
  });
});
