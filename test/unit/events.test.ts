/** When a ledger writes events down. */

import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { hasRow } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import type { Attention } from "../../src/rpc/webhooks-api.ts";
import { memoryLedger } from "../support/ledger.ts";
import { namespaceOf } from "../support/namespace.ts";

/** A ledger's events, before somebody who answers so; what was handed over is counted. */
function makeLog(answer: () => Promise<Attention>) {
  const told: number[] = [];
  const webhooks = {
    accept: (_: string, events: unknown[]) => {
      told.push(events.length);
      return answer();
    },
  };
  const WEBHOOKS = namespaceOf(webhooks) as unknown as Env["WEBHOOKS"];
  const { events: log, clock, due, sql, change } = memoryLedger({ WEBHOOKS });
  const record = () => change((tx) => log.record(tx, "blob.push", registryItself, {}));
  const isEmpty = () => !hasRow(sql, "SELECT 1 FROM events");
  return { log, clock, told, record, due, isEmpty };
}

const nobody = async (): Promise<Attention> => ({ isListening: false, quietMs: 5000 });

test("a ledger that asked before a push writes nothing while nobody is going to listen", async () => {
  const { log, clock, told, record, isEmpty } = makeLog(nobody);
  await log.ask("a");
  record();
  clock.nowMs += 4999;
  record();
  assert(isEmpty());
  clock.nowMs += 1;
  record();
  assert(!isEmpty());
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
  const { log, clock, record, isEmpty } = makeLog(() => answer.promise);
  const asking = log.ask("a");
  clock.nowMs += 5000;
  answer.resolve({ isListening: false, quietMs: 5000 });
  await asking;
  record();
  assert(!isEmpty());
});

test("an event that is written without having asked is handed over at once, and those after it are not written", async () => {
  const { log, told, record, due, isEmpty } = makeLog(nobody);
  record();
  await log.flushSoon("a");
  record();
  assert(isEmpty());
  assert.deepEqual(told, [1]);
  assert.equal(due.at("events", ""), undefined);
});

for (const [who, answer] of Object.entries({
  "somebody listens": async () => ({ isListening: true, quietMs: 0 }),
  "an earlier release answers": async () => ({ isListening: false }),
  "nobody can be asked": () => Promise.reject(new Error("out of reach")),
})) {
  test(`where ${who}, every event is written`, async () => {
    const { log, record, isEmpty } = makeLog(answer);
    await log.ask("a");
    record();
    assert(!isEmpty());
  });
}
