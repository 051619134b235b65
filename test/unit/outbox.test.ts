import assert from "node:assert/strict";
import test from "node:test";
import { DueTable } from "../../src/objects/due.ts";
import { Outbox } from "../../src/objects/ledger/outbox.ts";
import { createSchema } from "../../src/objects/ledger/schema.ts";
import type { RepositoryName } from "../../src/oci/name.ts";
import { memorySql } from "../support/sqlite.ts";

test("where there is no replica, nothing is written for it", () => {
  const sql = memorySql();
  createSchema(sql, "any" as RepositoryName, 0);
  const clock = { now: () => 0 };
  const due = new DueTable({ sql } as DurableObjectStorage, clock);
  const outbox = new Outbox(sql, due, clock, undefined, 1, () => undefined);
  outbox.mark({ kind: "tag", tag: "latest" });
  outbox.markAll("blob", "SELECT 'a' AS id");
  assert(outbox.isEmpty());
  assert(!due.has("outbox"));
  assert.deepEqual(outbox.claim(), []);
});
