import assert from "node:assert/strict";
import test from "node:test";
import { hasRow } from "../../src/objects/sql.ts";
import type { RepositoryName, Tag } from "../../src/oci/reference.ts";
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
