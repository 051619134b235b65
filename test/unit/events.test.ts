/** When a ledger writes events down. */

import assert from "node:assert/strict";
import test from "node:test";
import { DueTable } from "../../src/objects/due.ts";
import { EventLog, eventsSchema } from "../../src/objects/ledger/events.ts";
import { transaction } from "../../src/objects/sql.ts";
import type { Attention, WebhooksApi } from "../../src/objects/webhooks-api.ts";
import { registryItself } from "../../src/oci/event.ts";
import { memoryStorage } from "../support/sqlite.ts";

/** A ledger's events, before somebody who answers so; what was handed over is counted. */
function makeLog(answer: () => Promise<Attention>) {
  const storage = memoryStorage();
  storage.sql.exec(eventsSchema);
  storage.sql.exec(DueTable.schema);
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const told: number[] = [];
  const webhooks = {
    accept: (_: string, events: unknown[]) => {
      told.push(events.length);
      return answer();
    },
  } as unknown as WebhooksApi;
  const due = new DueTable(storage, clock);
  const log = new EventLog(storage, due, clock, () => webhooks);
  const record = () => transaction(storage, (tx) => log.record(tx, "blob.push", registryItself, {}));
  return { log, clock, told, record, due };
}

const nobody = async (): Promise<Attention> => ({ isListening: false, quietMs: 5000 });

test("a ledger that asked before a push writes nothing while nobody is going to listen", async () => {
  const { log, clock, told, record } = makeLog(nobody);
  await log.ask("a");
  record();
  clock.nowMs += 4999;
  record();
  assert(log.isEmpty());
  clock.nowMs += 1;
  record();
  assert(!log.isEmpty());
  assert.deepEqual(told, [0]);
});

test("it asks again when half of that time is over, and not before", async () => {
  const { log, clock, told } = makeLog(nobody);
  await Promise.all([log.ask("a"), log.ask("a")]);
  clock.nowMs += 2499;
  await log.ask("a");
  assert.equal(told.length, 1);
  clock.nowMs += 1;
  await log.ask("a");
  assert.equal(told.length, 2);
});

test("the time of an answer that takes long counts from the question", async () => {
  const answer = Promise.withResolvers<Attention>();
  const { log, clock, record } = makeLog(() => answer.promise);
  const asking = log.ask("a");
  clock.nowMs += 5000;
  answer.resolve({ isListening: false, quietMs: 5000 });
  await asking;
  record();
  assert(!log.isEmpty());
});

test("an event that is written without having asked is handed over at once, and those after it are not written", async () => {
  const { log, told, record, due } = makeLog(nobody);
  record();
  await log.flushSoon("a");
  record();
  assert(log.isEmpty());
  assert.deepEqual(told, [1]);
  assert.equal(due.at("events", ""), undefined);
});

for (const [who, answer] of Object.entries({
  "somebody listens": async () => ({ isListening: true, quietMs: 0 }),
  "an earlier release answers": async () => ({ isListening: false }),
  "nobody can be asked": () => Promise.reject(new Error("out of reach")),
})) {
  test(`where ${who}, every event is written`, async () => {
    const { log, record } = makeLog(answer);
    await log.ask("a");
    record();
    assert(!log.isEmpty());
  });
}
