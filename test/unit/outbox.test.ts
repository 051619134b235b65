import assert from "node:assert/strict";
import test from "node:test";
import { DueTable } from "../../src/objects/due.ts";
import { Outbox } from "../../src/objects/ledger/outbox.ts";
import { createSchema } from "../../src/objects/ledger/schema.ts";
import { transaction } from "../../src/objects/sql.ts";
import type { RepositoryName } from "../../src/oci/name.ts";
import { memoryStorage } from "../support/sqlite.ts";

test("where there is no replica, nothing is written for it", () => {
  const storage = memoryStorage();
  transaction(storage, (tx) => createSchema(tx, "any" as RepositoryName, 0));
  const clock = { now: () => 0 };
  const due = new DueTable(storage, clock);
  const outbox = new Outbox(storage.sql, due, clock, false, 1);
  transaction(storage, (tx) => {
    outbox.mark(tx, { kind: "tag", tag: "latest" });
    outbox.markAll(tx, "blob", "SELECT 'a' AS id");
  });
  assert(outbox.isEmpty());
  assert(!due.has("outbox"));
  assert.deepEqual(
    transaction(storage, (tx) => outbox.claim(tx)),
    [],
  );
});
