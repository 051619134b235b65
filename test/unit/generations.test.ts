/** Deleting a repository of many manifests, removing it and restoring it: each transaction writes a bounded number of rows. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { contentTables, jobsOf, schemaOf } from "../../src/objects/ledger/feature.ts";
import { makeParts } from "../../src/objects/ledger/parts.ts";
import { applySchema } from "../../src/objects/schema.ts";
import { hasTable, oneRow, readRows, transaction } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { largeLedger, memoryLedger } from "../support/ledger.ts";
import { namespaceOf } from "../support/namespace.ts";
import { memoryStorage } from "../support/sqlite.ts";

const dayMs = 24 * 3_600_000;

/** With more manifests it is a measurement: `MANIFESTS=100000 node --test test/unit/generations.test.ts`. */
const manifestCount = Number(process.env.MANIFESTS ?? 3_000);

/** With KV, so that rows of it are marked. Nobody writes them here. */
const makeLedger = (bindings: Partial<Env> = {}) =>
  largeLedger(manifestCount, { MANIFESTS: {} as KVNamespace, ...bindings });

type Large = ReturnType<typeof makeLedger>;

/** How many rows a table has. */
function countIn(sql: SqlStorage, table: string): number {
  return oneRow<{ count: number }>(sql, `SELECT count(*) AS count FROM ${table}` as `SELECT ${string}`).count;
}

/** Does work; how many rows it wrote, and how long it took. */
async function measured(sql: SqlStorage, work: () => unknown): Promise<{ rows: number; ms: number }> {
  const total = () => oneRow<{ n: number }>(sql, "SELECT total_changes() AS n").n;
  const [before, start] = [total(), performance.now()];
  await work();
  return { rows: total() - before, ms: performance.now() - start };
}

/** Runs jobs of a kind, one batch at a time, until there is nothing due; returns what the batches took. */
async function runBatches({ sql, clock, features }: Large, kind: string, afterEach = () => {}) {
  const batches: { rows: number; ms: number }[] = [];
  const query = "SELECT id, at FROM due WHERE kind = ? AND at <= ? ORDER BY at LIMIT 1";
  for (;;) {
    const rows = readRows<{ id: string; at: number }>(sql, query, kind, clock.nowMs);
    if (rows.length === 0) return batches;
    batches.push(await measured(sql, () => jobsOf(features)[kind]?.(rows)));
    afterEach();
  }
}

function longest(batches: { rows: number; ms: number }[]): string {
  const ms = batches.map((batch) => batch.ms).toSorted((one, other) => one - other);
  return `${batches.length} batches, the longest ${ms.at(-1)?.toFixed(1)} ms, the median ${ms[ms.length >> 1]?.toFixed(1)} ms`;
}

async function deleted(ledger: Large) {
  const { change, repository, generations, sql } = ledger;
  const { meta } = repository;
  assert(meta !== undefined);
  const deletion = await measured(sql, () => change((tx) => generations.end(tx, meta, registryItself)));
  repository.reload();
  return deletion;
}

test("a large repository is deleted in one short transaction, and its rest in batches", async (t) => {
  const ledger = makeLedger();
  const { sql, clock, settings } = ledger;
  const blobCount = countIn(sql, "blobs");
  const deletion = await deleted(ledger);
  t.diagnostic(`${manifestCount} manifests, ${blobCount} blobs: deleted in ${deletion.ms.toFixed(1)} ms`);
  // The first page of each kind of rows in KV is marked at once.
  assert(deletion.rows < 3_200, `${deletion.rows} rows are written at the deletion`);
  for (const [table] of contentTables(ledger.features)) assert.equal(countIn(sql, table), 0, table);
  const marking = await runBatches(ledger, "unreplicate");
  t.diagnostic(`marked for KV: ${longest(marking)}`);
  assert.equal(countIn(sql, "outbox"), 2 * manifestCount + blobCount);
  assert(marking.every(({ rows }) => rows <= 3_200));
  assert.deepEqual(
    await runBatches(ledger, "remove-generation"),
    [],
    "nothing goes before the grace is over",
  );
  clock.nowMs += settings.gcGraceMs;
  const removing = await runBatches(ledger, "remove-generation");
  t.diagnostic(`removed: ${longest(removing)}`);
  assert(removing.length > 1);
  // What is removed, and for a blob the row that tells its shard.
  for (const { rows } of removing) assert(rows <= 2_100, `a batch writes ${rows} rows`);
  assert.equal(
    oneRow<{ n: number }>(sql, "SELECT count(*) AS n FROM due WHERE kind = 'release'").n,
    blobCount,
  );
  assert(!hasTable(sql, "deleted_1_manifests"));
  assert.equal(countIn(sql, "generations"), 0);
});

test("the last twenty deletions can be undone, and each says what it ends", (t) => {
  const { change, repository, generations } = memoryLedger();
  const lost: number[][] = [];
  let longestMs = 0;
  for (let round = 1; round <= 22; round++) {
    change((tx) => repository.found(tx, registryItself));
    repository.reload();
    const { meta } = repository;
    assert(meta !== undefined);
    const startedAt = performance.now();
    lost.push(change((tx) => generations.end(tx, meta, registryItself)).lost);
    longestMs = Math.max(longestMs, performance.now() - startedAt);
    repository.reload();
  }
  t.diagnostic(`the longest of 22 deletions took ${longestMs.toFixed(1)} ms`);
  assert.deepEqual(lost, [...Array.from({ length: 20 }, () => []), [1], [2]]);
  assert.deepEqual(
    generations.list().map(({ number }) => number),
    Array.from({ length: 20 }, (_, at) => 22 - at),
  );
});

test("a ledger whose database is large gives up what was deleted first, and says so", async () => {
  const ledger = makeLedger();
  const { sql, change, repository, generations } = ledger;
  const lost = [];
  for (const databaseSize of [1e9, 1e9, 5e9, 5e9]) {
    Object.defineProperty(sql, "databaseSize", { value: databaseSize, configurable: true });
    change((tx) => repository.found(tx, registryItself));
    repository.reload();
    const { meta } = repository;
    assert(meta !== undefined);
    lost.push(change((tx) => generations.end(tx, meta, registryItself)).lost);
    repository.reload();
  }
  assert.deepEqual(lost, [[], [], [1], [2]]);
  assert.deepEqual(
    generations.list().map(({ number }) => number),
    [4, 3],
  );
});

test("a large repository is restored in batches", async (t) => {
  const ledger = makeLedger();
  const { sql, change, restoring, clock, repository } = ledger;
  const content = contentTables(ledger.features);
  const tables = content.map(([table]) => table);
  const before = tables.map((table) => countIn(sql, table));
  const unfilled = content.filter(([, { comesBack }], index) => comesBack !== "never" && before[index] === 0);
  assert.deepEqual(unfilled, [], "largeLedger() fills each table whose rows come back");
  await deleted(ledger);
  await runBatches(ledger, "unreplicate");
  const first = await measured(sql, () => change((tx) => restoring.begin(tx, 1, false, registryItself)));
  repository.reload();
  const batches = [first, ...(await runBatches(ledger, "restore-generation"))];
  t.diagnostic(`restored: ${longest(batches)}`);
  for (const { rows } of batches.slice(1)) assert(rows < 2_000, `a batch writes ${rows} rows`);
  const after = tables.map((table) => countIn(sql, table));
  // Each tag was moved once more.
  before[tables.indexOf("tag_history")] = 2 * manifestCount;
  assert.deepEqual(after, before);
  assert.equal(countIn(sql, "generations"), 1, "it is removed now");
  clock.nowMs += 1;
  await runBatches(ledger, "remove-generation");
  assert.equal(countIn(sql, "generations"), 0);
  assert(!ledger.due.has("release"), "no shard is told that a blob is gone");
});

test("the day of use that comes back with a large repository is known, and the catalog is told of it", async () => {
  const told: (number | undefined)[] = [];
  const putRepository = async (_: object, usedDay?: number) => void told.push(usedDay);
  const ledger = makeLedger({ CATALOG: namespaceOf({ putRepository }) } as unknown as Partial<Env>);
  const { change, restoring, repository } = ledger;
  change((tx) => tx.write("UPDATE manifests SET used_day = 19000"));
  await deleted(ledger);
  change((tx) => restoring.begin(tx, 1, false, registryItself));
  repository.reload();
  await repository.announce();
  await runBatches(ledger, "restore-generation");
  assert.equal(repository.meta?.usedDay, 19000);
  await runBatches(ledger, "announce");
  assert.deepEqual(told, [undefined, 19000]);
});

test("a tag that was pushed since stays as it is when the repository is restored", async () => {
  const ledger = makeLedger();
  const { sql, change, restoring, tags } = ledger;
  await deleted(ledger);
  const since = `sha256:${"7".repeat(64)}`;
  change((tx) => tags.move(tx, "tag-1" as never, since as never, registryItself));
  change((tx) => restoring.begin(tx, 1, true, registryItself));
  await runBatches(ledger, "restore-generation");
  const query = "SELECT digest FROM tags WHERE tag = 'tag-1'";
  assert.equal(oneRow<{ digest: string }>(sql, query).digest, since);
  assert.equal(countIn(sql, "tags"), manifestCount);
});

test("a manifest is deleted with thousands of tags in a few statements", async (t) => {
  const ledger = makeLedger();
  const { sql, change, deleted: deletions } = ledger;
  const [one] = readRows<{ digest: never }>(sql, "SELECT digest FROM manifests LIMIT 1");
  assert(one !== undefined);
  change((tx) => tx.write("UPDATE tags SET digest = ?", one.digest));
  // Nobody listens to events.
  change((tx) => tx.write("DELETE FROM events"));
  const deletion = await measured(sql, () =>
    change((tx) => deletions.remove(tx, one.digest, registryItself)),
  );
  t.diagnostic(`${manifestCount} tags: deleted in ${deletion.ms.toFixed(1)} ms`);
  assert.equal(countIn(sql, "tags"), 0);
  assert.equal(countIn(sql, "deleted_tags"), manifestCount);
  assert.equal(countIn(sql, "tag_history"), 2 * manifestCount);
  assert.equal(
    oneRow<{ n: number }>(sql, "SELECT count(*) AS n FROM outbox WHERE kind = 'tag'").n,
    manifestCount,
  );
});

test("a manifest that was deleted before its repository goes when its own grace is over, and nothing else does", async () => {
  const ledger = makeLedger();
  const { sql, change, clock, deleted: deletions, settings } = ledger;
  const [one] = readRows<{ digest: never }>(sql, "SELECT digest FROM manifests LIMIT 1");
  assert(one !== undefined);
  change((tx) => deletions.remove(tx, one.digest, registryItself));
  await deleted(ledger);
  clock.nowMs += settings.gcGraceMs;
  await runBatches(ledger, "purge");
  assert.equal(countIn(sql, "deleted_1_manifests"), manifestCount - 1);
  assert.equal(countIn(sql, "deleted_1_deleted_manifests"), 1);
});

test("nothing of a generation is removed while it is restored, or while KV has rows of it that are not marked", async () => {
  const ledger = makeLedger({ GC_GRACE: "0s" });
  const { sql } = ledger;
  const removeOnce = async ({ sql: tables, features }: Large) => {
    const query = "SELECT id, at FROM due WHERE kind = 'remove-generation'";
    await jobsOf(features)["remove-generation"]?.(readRows<{ id: string; at: number }>(tables, query));
  };
  await deleted(ledger);
  await removeOnce(ledger);
  assert.equal(countIn(sql, "deleted_1_manifests"), manifestCount);
  await runBatches(ledger, "unreplicate");
  await removeOnce(ledger);
  assert(countIn(sql, "deleted_1_manifests") < manifestCount);

  const other = makeLedger();
  await deleted(other);
  await runBatches(other, "unreplicate");
  other.change((tx) => other.restoring.begin(tx, 1, false, registryItself));
  assert.equal(
    other.change((tx) => other.generations.endGrace(tx)),
    0,
  );
  assert.equal(other.generations.list().length, 1, "an administrator does not end it");
  other.clock.nowMs += 2 * dayMs;
  await removeOnce(other);
  assert.equal(countIn(other.sql, "deleted_1_manifests"), manifestCount);
});

/** Restores a repository that was deleted; returns by how many times of its size the database grows meanwhile. */
async function growthWhenRestored(bindings: Partial<Env>): Promise<number> {
  const ledger = largeLedger(manifestCount, bindings);
  const { sql, change, restoring, clock } = ledger;
  // Each tag moves once more.
  const tables = contentTables(ledger.features).flatMap(([table]) =>
    table === "tag_history" ? [] : [table],
  );
  const before = tables.map((table) => countIn(sql, table));
  await deleted(ledger);
  const sizeBytes = sql.databaseSize;
  change((tx) => restoring.begin(tx, 1, false, registryItself));
  let largest = sql.databaseSize;
  await runBatches(ledger, "restore-generation", () => {
    largest = Math.max(largest, sql.databaseSize);
  });
  assert.deepEqual(
    tables.map((table) => countIn(sql, table)),
    before,
  );
  clock.nowMs += 1;
  await runBatches(ledger, "remove-generation");
  assert(!hasTable(sql, "deleted_1_manifests"));
  return largest / sizeBytes - 1;
}

test("a full ledger restores a repository without needing its space twice", async (t) => {
  const whole = await growthWhenRestored({});
  const full = await growthWhenRestored({ LEDGER_LIMIT: "1MiB" });
  t.diagnostic(`it grows by ${whole.toFixed(2)} and ${full.toFixed(2)} of its size`);
  assert(whole > 0.7 && full < 0.3);
});

test("where there is no room for both, a blob is moved only once no manifest that is left needs it", async () => {
  const ledger = largeLedger(manifestCount, { LEDGER_LIMIT: "1MiB" });
  const { sql, change, restoring } = ledger;
  await deleted(ledger);
  change((tx) => restoring.begin(tx, 1, false, registryItself));
  const left = countIn(sql, "deleted_1_manifests");
  assert(left > 0 && left < manifestCount);
  const lacking = `deleted_1_manifest_references WHERE digest NOT IN (SELECT digest FROM deleted_1_blobs)`;
  assert.equal(countIn(sql, lacking), 0);
});

test("a blob that the next repository has stays as it is when it is restored as well", async () => {
  const ledger = largeLedger(200, { MANIFESTS: {} as KVNamespace });
  const { sql, change, restoring } = ledger;
  const [one] = readRows<{ digest: string }>(sql, "SELECT digest FROM blobs ORDER BY digest LIMIT 1");
  assert(one !== undefined);
  await deleted(ledger);
  const add =
    "INSERT INTO blobs (digest, key, size, renewed_at, replicated) VALUES (?, 'blobs/now', 1, 1, 1)";
  change((tx) => tx.write(add, one.digest));
  const blob = () => ({ ...readRows(sql, "SELECT * FROM blobs WHERE digest = ?", one.digest)[0] });
  const before = blob();
  change((tx) => restoring.begin(tx, 1, false, registryItself));
  await runBatches(ledger, "restore-generation");
  assert.deepEqual(blob(), { ...before, unlink_at: null });
});

test("a restored blob that nothing references is unlinked after another grace", async () => {
  const ledger = largeLedger(200, { MANIFESTS: {} as KVNamespace });
  const { sql, change, restoring, clock, settings } = ledger;
  const blob = "SELECT unlink_at AS at, replicated FROM blobs WHERE digest = 'sha256:f'";
  const add = `INSERT INTO blobs (digest, key, size, renewed_at, unlink_at, replicated)
    VALUES ('sha256:f', 'blobs/f', 1, 1, 2, 0)`;
  change((tx) => tx.write(add));
  await deleted(ledger);
  change((tx) => restoring.begin(tx, 1, false, registryItself));
  await runBatches(ledger, "restore-generation");
  const at = clock.nowMs + settings.gcGraceMs;
  assert.deepEqual({ ...readRows(sql, blob)[0] }, { at, replicated: 0 });
});

test("a generation of an earlier release is removed, which had fewer tables", async () => {
  const ledger = largeLedger(200, { MANIFESTS: {} as KVNamespace, GC_GRACE: "0s" } as Partial<Env>);
  const { sql, change } = ledger;
  await deleted(ledger);
  change((tx) => tx.write("DROP TABLE deleted_1_readme"));
  await runBatches(ledger, "unreplicate");
  await runBatches(ledger, "remove-generation");
  assert(!hasTable(sql, "deleted_1_manifests"));
});

test("the search index is told of all tags after a deletion, though the next generation comes before that", async () => {
  const ledger = makeLedger({ SEARCH: {} as NonNullable<Env["SEARCH"]> });
  const { change, due, tags } = ledger;
  change((tx) => {
    for (const id of ["", "whole"]) due.clear(tx, "announce-to-search", id);
  });
  await deleted(ledger);
  change((tx) => tags.move(tx, "v1" as never, "sha256:1" as never, registryItself));
  assert(due.at("announce-to-search", "whole") !== undefined);
  change((tx) => {
    for (const id of ["", "whole"]) due.clear(tx, "announce-to-search", id);
  });
  change((tx) => tags.removeAllOf(tx, "sha256:1" as never, registryItself));
  assert(due.has("announce-to-search"), "and of those that are deleted with a manifest");
});

test("a deletion in the middle of a restoration forgets no manifest that is still to be read again", async () => {
  const ledger = makeLedger();
  const { change, restoring, repository, due, clock } = ledger;
  change((tx) => due.set(tx, "reread", "", clock.nowMs));
  await deleted(ledger);
  change((tx) => restoring.begin(tx, 1, false, registryItself));
  repository.reload();
  await deleted(ledger);
  assert(!due.has("reread") && !due.has("restore-generation"));
  change((tx) => restoring.begin(tx, 2, false, registryItself));
  await runBatches(ledger, "restore-generation");
  assert(due.has("reread"));
});

test("no blob is unlinked while manifests that may reference it are being restored", async () => {
  const ledger = makeLedger();
  const { sql, change, restoring, unlinking, clock } = ledger;
  await deleted(ledger);
  change((tx) => restoring.begin(tx, 1, false, registryItself));
  const namedLater = `SELECT digest FROM deleted_1_manifest_references
    WHERE manifest NOT IN (SELECT digest FROM manifests)`;
  const query = `SELECT digest FROM blobs WHERE digest NOT IN (${namedLater}) LIMIT 1` as const;
  const [unread] = readRows<{ digest: string }>(sql, query);
  assert(unread !== undefined);
  change((tx) => {
    tx.write("DELETE FROM manifest_references WHERE digest = ?", unread.digest);
    tx.write("UPDATE blobs SET unlink_at = ? WHERE digest = ?", clock.nowMs + dayMs, unread.digest);
  });
  const unlink = async () => {
    change((tx) => unlinking.endGrace(tx, 1000));
    await jobsOf(ledger.features).unlink?.([{ id: unread.digest, at: clock.nowMs }]);
    return !readRows(sql, "SELECT 1 FROM blobs WHERE digest = ?", unread.digest).length;
  };
  assert.equal(await unlink(), false);
  await runBatches(ledger, "restore-generation");
  assert.equal(await unlink(), true);
});

test("a tag of the next generation has a higher number than any before it, whatever the clock shows", async () => {
  const ledger = makeLedger();
  const { sql, change, tags, clock } = ledger;
  const last = "SELECT max(sequence) AS last FROM tag_history";
  const before = oneRow<{ last: number }>(sql, last).last;
  assert(before > clock.nowMs + 1);
  await deleted(ledger);
  change((tx) => tags.move(tx, "v1" as never, "sha256:1" as never, registryItself));
  assert(oneRow<{ last: number }>(sql, last).last > before);
});

test("a blob that no manifest references yet is not written to KV because a deleted one had it there", async () => {
  const ledger = makeLedger();
  const { sql, change, manifests, blobs, clock } = ledger;
  const [blob] = readRows<{ digest: never }>(sql, "SELECT digest FROM blobs LIMIT 1");
  assert(blob !== undefined);
  const key = { kind: "blob", digest: blob.digest } as const;
  assert(manifests.replicaValue(key) !== undefined);
  await deleted(ledger);
  change((tx) => blobs.write(tx, { digest: blob.digest, key: "blobs/new", sizeBytes: 1 }, clock.nowMs));
  assert.equal(manifests.replicaValue(key), undefined);
});

test("a repository that the release before was deleting is deleted, and its name is free", () => {
  const storage = memoryStorage();
  const clock = { now: () => 1_700_000_000_000 };
  const parts = makeParts(storage, {} as Env, clock);
  const schema = schemaOf(parts.features);
  // As version 8 left it: emptied, but not drained.
  transaction(storage, (tx) => {
    applySchema(tx, schema.slice(0, 8));
    for (const [key, value] of Object.entries({
      name: "team/app",
      founded: "yes",
      visibility: "public",
      description: "old",
      deleting: "yes",
    }))
      tx.write("INSERT INTO meta (key, value) VALUES (?, ?)", key, value);
    tx.write("INSERT INTO tag_history (sequence, tag, to_digest, at, actor) VALUES (7, 'v1', 'x', 1, 'ci')");
    tx.write("INSERT INTO due (kind, id, at) VALUES ('release', 'sha256:0', 1)");
    tx.write("INSERT INTO outbox (kind, id, version, at) VALUES ('tag', 'v1', 1, 1)");
  });
  transaction(storage, (tx) => applySchema(tx, schema));
  parts.repository.reload();
  const { meta } = parts.repository;
  assert.equal(meta?.name, "team/app" as RepositoryName);
  assert.deepEqual([meta?.isFounded, meta?.visibility, meta?.description], [false, "private", ""]);
  assert.equal(countIn(storage.sql, "tag_history"), 0);
  assert.equal(countIn(storage.sql, "outbox"), 1, "KV has still to be told");
  assert(parts.due.has("release"), "and so have shards");
});

test("a repository of the release before keeps what it has", () => {
  const storage = memoryStorage();
  const parts = makeParts(storage, {} as Env, { now: () => 1_700_000_000_000 + dayMs });
  const schema = schemaOf(parts.features);
  transaction(storage, (tx) => {
    applySchema(tx, schema.slice(0, 8));
    for (const [key, value] of Object.entries({ name: "team/app", founded: "yes", description: "old" }))
      tx.write("INSERT INTO meta (key, value) VALUES (?, ?)", key, value);
    tx.write("INSERT INTO tag_history (sequence, tag, to_digest, at, actor) VALUES (7, 'v1', 'x', 1, 'ci')");
    tx.write("INSERT INTO deleted_manifests (digest, media_type, size) VALUES ('sha256:1', 'x', 1)");
  });
  transaction(storage, (tx) => applySchema(tx, schema));
  parts.repository.reload();
  const { meta } = parts.repository;
  assert.deepEqual([meta?.isFounded, meta?.description, meta?.generation], [true, "old", 1]);
  assert.equal(countIn(storage.sql, "tag_history"), 1);
  assert.equal(countIn(storage.sql, "deleted_manifests"), 1);
});
