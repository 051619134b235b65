/** Steps of schemas, the way forward and back over them, and the versions that data records. */
import assert from "node:assert/strict";
import test from "node:test";
import { dataVersions } from "../../src/data-versions.ts";
import { shardSchema, shardSchemaOnDisk } from "../../src/objects/blob-shard/schema.ts";
import { LaterDataList } from "../../src/objects/catalog/later-data-list.ts";
import { catalogSchema } from "../../src/objects/catalog/schema.ts";
import { schemaOf } from "../../src/objects/ledger/feature.ts";
import { nameIndexSchema } from "../../src/objects/name-index/store.ts";
import { applySchema, dataVersion, type Schema, versionOf } from "../../src/objects/schema.ts";
import { searchSchema } from "../../src/objects/search/schema.ts";
import { readRows, transaction } from "../../src/objects/sql.ts";
import { uploadSchema } from "../../src/objects/upload/schema.ts";
import { queueSchema } from "../../src/objects/webhook-queue/store.ts";
import { webhooksSchema } from "../../src/objects/webhooks/store.ts";
import { memoryLedger } from "../support/ledger.ts";
import { memoryStorage } from "../support/sqlite.ts";

const first = "CREATE TABLE things (name TEXT)";
const breaking = "ALTER TABLE things RENAME COLUMN name TO title";
const compatible = { compatible: "CREATE TABLE facts (fact TEXT)" };

function take(storage: DurableObjectStorage, schema: Schema): void {
  transaction(storage, (tx) => applySchema(tx, schema));
}

function tablesIn({ sql }: DurableObjectStorage): string[] {
  const query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
  return readRows<{ name: string }>(sql, query).map(({ name }) => name);
}

test("data records how many steps a release must know to open it", () => {
  for (const [schema, version] of [
    [[first], 1],
    [[first, compatible], 1],
    [[first, compatible, breaking], 3],
    [[first, breaking, compatible, { compatible: "CREATE TABLE uses (day INTEGER)" }], 2],
  ] as const) {
    const storage = memoryStorage();
    take(storage, schema);
    assert.equal(dataVersion(storage.sql), version);
    assert.equal(versionOf(schema), version);
  }
});

test("a release goes back over a compatible step, and the later one goes on where it was", () => {
  const storage = memoryStorage();
  take(storage, [first, compatible]);
  take(storage, [first]);
  // Taking it again would fail.
  take(storage, [first, compatible]);
  take(storage, [first, compatible, breaking]);
  assert.deepEqual(tablesIn(storage), ["facts", "schema_version", "things"]);
  assert.equal(dataVersion(storage.sql), 3);
});

test("a release does not open data after a step that is not compatible", () => {
  const storage = memoryStorage();
  take(storage, [first, breaking]);
  assert.throws(() => take(storage, [first]), /written by a later release/);
});

test("a release that records its version alone goes back over a compatible step, too", () => {
  const storage = memoryStorage();
  storage.sql.exec(`${first}; CREATE TABLE schema_version (version INTEGER NOT NULL);
    INSERT INTO schema_version (version) VALUES (1)`);
  take(storage, [first, compatible]);
  // It compares the column of this name with the number of its steps.
  assert.deepEqual(
    readRows(storage.sql, "SELECT version FROM schema_version").map(({ version }) => version),
    [1],
  );
  take(storage, [first, compatible, breaking]);
  assert.equal(dataVersion(storage.sql), 3);
});

test("the versions of data are those of the schemas", () => {
  const schemas: Record<keyof typeof dataVersions, Schema> = {
    Repository: schemaOf(memoryLedger().features),
    Blobs: shardSchemaOnDisk,
    Catalog: catalogSchema,
    Search: searchSchema,
    Upload: uploadSchema,
    Fetch: uploadSchema,
    NameIndex: nameIndexSchema,
    Webhooks: webhooksSchema,
    WebhookQueue: queueSchema,
  };
  assert.deepEqual(
    Object.fromEntries(Object.entries(schemas).map(([kind, schema]) => [kind, versionOf(schema)])),
    dataVersions,
  );
});

test("a shard whose bytes are in R2 opens in the release before files of wholes", () => {
  assert.equal(versionOf(shardSchema), 7);
  assert.equal(shardSchema.length, shardSchemaOnDisk.length);
});

test("the catalog counts objects with later data, and forgets them once it can read it", () => {
  const storage = memoryStorage();
  take(storage, catalogSchema);
  const list = new LaterDataList(storage.sql);
  transaction(storage, (tx) => {
    list.add(tx, "Repository", "team/app", dataVersions.Repository + 1);
    list.add(tx, "Repository", "team/app", dataVersions.Repository + 1);
    list.add(tx, "Repository", "team/web", dataVersions.Repository + 2);
    list.add(tx, "Upload", "a", dataVersions.Upload);
    tx.write("INSERT INTO later_data (kind, object, version) VALUES ('Unheard', 'of', 1)");
  });
  const counted = () => list.count().map(({ kind, objects }) => `${kind} ${objects}`);
  assert.deepEqual(counted(), ["Repository 2", "Unheard 1"]);
  transaction(storage, (tx) => list.forgetReadable(tx));
  assert.deepEqual(
    readRows<{ object: string }>(storage.sql, "SELECT object FROM later_data").map(({ object }) => object),
    ["team/app", "team/web", "of"],
  );
});
