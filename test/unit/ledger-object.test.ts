/** The object of a ledger that goes, and comes again while it is still in memory. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { type Digest, digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import { content } from "../support/content.ts";
import { memoryContext } from "../support/durable-objects.ts";
import { namespaceOf } from "../support/namespace.ts";

const { Ledger } = await import("../../src/objects/ledger.ts");

const repository = "team/app" as RepositoryName;
const digest: Digest = digestOfContent(content(), "sha256");
const hourMs = 3_600_000;

test("an object that has gone in a collection sets its alarm anew when there is something to do again", async () => {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const { ctx, storage, settle } = memoryContext();
  const alarms: number[] = [];
  storage.setAlarm = async (at) => void alarms.push(Number(at) - clock.nowMs);
  const catalog = { addCounts: async () => {} };
  const webhooks = { accept: async () => ({ isListening: false, quietMs: 1e12 }) };
  const env = { CATALOG: namespaceOf(catalog), WEBHOOKS: namespaceOf(webhooks) };
  const ledger = new Ledger(ctx, env as unknown as Env, clock);
  // It remembers for an hour what it said no to.
  await ledger.holds(repository, [{ digest, lease: 1 }]);
  assert.deepEqual(alarms, [hourMs]);
  clock.nowMs += 2 * hourMs;
  await ledger.collect({ budgetMs: 1000, endsGrace: false });
  await settle();
  assert.equal(storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'meta'").toArray().length, 0);
  await ledger.holds(repository, [{ digest, lease: 2 }]);
  assert.deepEqual(alarms, [hourMs, hourMs]);
});
