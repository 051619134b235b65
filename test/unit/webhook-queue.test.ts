/** The queue of a webhook, and the list of webhooks that fills it: what is bounded, and what happens while they wait. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { hasRow, hasTable } from "../../src/objects/sql.ts";
import { sendEvent } from "../../src/objects/webhook-queue/send.ts";
import { type RegistryEvent, registryItself } from "../../src/oci/event.ts";
import type { Webhook, WebhookChange } from "../../src/rpc/webhooks-api.ts";
import { memoryContext } from "../support/durable-objects.ts";
import { getOn } from "../support/get-on.ts";
import { namespaceOf } from "../support/namespace.ts";

const { WebhookQueue } = await import("../../src/objects/webhook-queue.ts");
const { Webhooks } = await import("../../src/objects/webhooks.ts");

const nowMs = 1_700_000_000_000;

const webhook: Webhook = {
  id: "hook",
  url: "https://listener.example.org/events",
  events: ["tag.delete"],
  repository: "**",
  format: "cloudevents",
  secret: "secret",
  headers: {},
  isDisabled: false,
  createdAtMs: nowMs,
};

const eventOf = (id: string, repository = "team/app"): RegistryEvent => ({
  id,
  type: "tag.delete",
  time: new Date(nowMs).toISOString(),
  repository,
  target: { tag: "latest" },
  origin: { ...registryItself, url: "", host: "", instance: "" },
});

/** A queue whose listener answers once it may; `sent` has the repositories of the events that were begun. */
function newQueue() {
  const clock = { nowMs, now: () => clock.nowMs };
  const { ctx, storage, settle } = memoryContext();
  const sent: (string | null)[] = [];
  const waiting: (() => void)[] = [];
  const outbound = {
    fetch: async (_: string, { headers }: RequestInit) => {
      sent.push(new Headers(headers).get("Stowage-Event-Id"));
      await new Promise<void>((resolve) => waiting.push(resolve));
      return new Response(null, { status: 204 });
    },
  };
  const queue = new WebhookQueue(ctx, { WEBHOOK_OUTBOUND: outbound } as unknown as Env, clock);
  const letGo = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  /** Lets the listener answer to all that is sent, and to what comes after that. */
  const finish = async () => {
    for (let round = 0; round < 10; round++) {
      letGo();
      await getOn();
    }
    await settle();
  };
  return { queue, clock, storage, sent, finish };
}

/** Rows of a table, made without a call for each. */
const numbers = (count: number) =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

test("so many events wait and no more: what comes beyond that is a dead letter, of which the oldest go", async () => {
  const { queue, storage } = newQueue();
  const disabled = { ...webhook, isDisabled: true };
  await queue.receive(disabled, [eventOf("first")]);
  storage.sql.exec(
    `${numbers(9999)} INSERT INTO waiting (id, repository, event) SELECT 'w' || i, 'a', '{}' FROM n`,
  );
  await queue.receive(disabled, [eventOf("beyond")]);
  assert.deepEqual(await queue.state(), { waiting: 10_000, deadLetters: 1, dropped: 0 });
  // There is no room to replay it.
  assert.equal(await queue.replayDeadLetter("beyond"), false);
  assert.notEqual(await queue.deadLetter("beyond"), undefined);
  storage.sql.exec(`${numbers(9999)} INSERT INTO dead_letters (id, letter) SELECT 'd' || i, '{}' FROM n`);
  await queue.receive(disabled, [eventOf("last")]);
  assert.deepEqual(await queue.state(), { waiting: 10_000, deadLetters: 10_000, dropped: 1 });
  assert.equal(await queue.deadLetter("beyond"), undefined);
});

test("of one repository one event is sent at a time, and of several repositories a few", async () => {
  const { queue, sent, finish } = newQueue();
  await queue.receive(webhook, [eventOf("a1", "a"), eventOf("a2", "a")]);
  await queue.receive(webhook, [eventOf("a3", "a")]);
  await getOn();
  assert.deepEqual(sent, ["a1"]);
  await queue.receive(
    webhook,
    ["b", "c", "d", "e", "f"].map((name) => eventOf(name, name)),
  );
  await getOn();
  assert.deepEqual(sent, ["a1", "b", "c", "d"]);
  await finish();
  assert.deepEqual(sent.toSorted(), ["a1", "a2", "a3", "b", "c", "d", "e", "f"]);
  assert.equal((await queue.state()).waiting, 0);
});

test("a queue that is given up while it sends ends quietly, takes nothing more, and leaves nothing", async () => {
  const { queue, clock, storage, sent, finish } = newQueue();
  await queue.receive(webhook, [eventOf("a1"), eventOf("a2")]);
  await getOn();
  await queue.forget();
  await queue.receive(webhook, [eventOf("late")]);
  await finish();
  assert.deepEqual(sent, ["a1"]);
  assert.deepEqual(await queue.state(), { waiting: 0, deadLetters: 0, dropped: 0 });
  assert.equal(hasRow(storage.sql, "SELECT 1 FROM waiting UNION ALL SELECT 1 FROM deliveries"), false);
  clock.nowMs += 10 * 60_000;
  await queue.alarm();
  assert.equal(hasTable(storage.sql, "waiting"), false);
});

test("a queue that was given up takes nothing after an alarm that was set before", async () => {
  const { queue, clock, storage } = newQueue();
  const disabled = { ...webhook, isDisabled: true };
  await queue.receive(disabled, [eventOf("a1")]);
  await queue.forget();
  const alarms: number[] = [];
  storage.setAlarm = async (at) => void alarms.push(Number(at));
  clock.nowMs += 5 * 60_000;
  await queue.alarm();
  await queue.receive(disabled, [eventOf("late")]);
  assert.deepEqual(await queue.state(), { waiting: 0, deadLetters: 0, dropped: 0 });
  const [next = 0] = alarms;
  assert.deepEqual([alarms.length, next > clock.nowMs], [1, true]);
  clock.nowMs = next;
  await queue.alarm();
  assert.equal(hasTable(storage.sql, "webhook"), false);
});

test("a webhook that is disabled while it sends sends nothing more", async () => {
  const { queue, sent, finish } = newQueue();
  await queue.receive(webhook, [eventOf("a1"), eventOf("a2")]);
  await getOn();
  await queue.receive({ ...webhook, isDisabled: true }, []);
  await finish();
  assert.deepEqual(sent, ["a1"]);
  assert.equal((await queue.state()).waiting, 1);
});

test("nothing is sent to a private address, and of an answer no more than its beginning is read", async () => {
  let asked = 0;
  const long = "a".repeat(100_000);
  const fetcher = {
    fetch: async () => {
      asked++;
      return new Response(new Blob([long, long]).stream());
    },
  } as unknown as Pick<Fetcher, "fetch">;
  const how = { fetcher, allowsPrivate: false, timeoutMs: 1000, now: nowMs };
  const refused = await sendEvent({ ...webhook, url: "https://10.0.0.1/" }, eventOf("a"), how);
  assert.deepEqual([refused.isDelivered, asked], [false, 0]);
  const sent = await sendEvent(webhook, eventOf("a"), how);
  assert.deepEqual([sent.isDelivered, sent.answer?.length], [true, 1024]);
});

/** The list of webhooks, of which one is known, before a queue that answers once it may, or fails. */
async function newList() {
  const clock = { nowMs, now: () => clock.nowMs };
  const { ctx, storage, settle } = memoryContext();
  const received: { url: string; events: string[] }[] = [];
  let answer = async () => {};
  const queue = {
    receive: async ({ url }: Webhook, events: RegistryEvent[]) => {
      await answer();
      received.push({ url, events: events.map(({ id }) => id) });
    },
    forget: async () => {},
  };
  const list = new Webhooks(ctx, { WEBHOOK_QUEUES: namespaceOf(queue) } as unknown as Env, clock);
  await list.addWebhook(webhook);
  await settle();
  received.length = 0;
  return { list, clock, storage, settle, received, setAnswer: (given: typeof answer) => (answer = given) };
}

test("events stay until their queue has them, however often it does not answer", async () => {
  const { list, clock, settle, received, setAnswer } = await newList();
  setAnswer(() => Promise.reject(new Error("out of reach")));
  await list.accept("team/app", [eventOf("a1")]);
  await settle();
  setAnswer(async () => {});
  clock.nowMs += 5000;
  await list.alarm();
  assert.deepEqual(received, [{ url: webhook.url, events: ["a1"] }]);
});

test("what comes while a queue is told is told afterwards: events, and changes of the webhook", async () => {
  const url = "https://other.example.org/";
  const changes: [WebhookChange, RegistryEvent[], object[]][] = [
    [{}, [eventOf("a2")], [{ url: webhook.url, events: ["a2"] }]],
    [{ url }, [], [{ url, events: [] }]],
  ];
  for (const [change, events, expected] of changes) {
    const { list, settle, received, setAnswer } = await newList();
    const { promise, resolve } = Promise.withResolvers<void>();
    setAnswer(() => promise);
    await list.accept("team/app", [eventOf("a1")]);
    await getOn();
    if (events.length > 0) await list.accept("team/app", events);
    else await list.changeWebhook(webhook.id, change);
    resolve();
    await settle();
    assert.deepEqual(received, [{ url: webhook.url, events: ["a1"] }, ...expected]);
  }
});

test("a ping goes the way of events, so that none puts a webhook back to what it was", async () => {
  const { list, settle, received, setAnswer } = await newList();
  const ping = { ...eventOf("ping"), type: "ping" as const };
  const { promise, resolve } = Promise.withResolvers<void>();
  setAnswer(() => promise);
  assert.deepEqual(await list.pingWebhook(webhook.id, ping), webhook);
  await getOn();
  const url = "https://other.example.org/";
  await list.changeWebhook(webhook.id, { url });
  await list.pingWebhook(webhook.id, { ...ping, id: "second" });
  resolve();
  await settle();
  assert.deepEqual(received, [
    { url: webhook.url, events: ["ping"] },
    { url, events: ["second"] },
  ]);
  await list.changeWebhook(webhook.id, { isDisabled: true });
  await settle();
  received.length = 0;
  assert.equal((await list.pingWebhook(webhook.id, { ...ping, id: "third" }))?.isDisabled, true);
  assert.equal(await list.pingWebhook("nobody", ping), undefined);
  await settle();
  assert.deepEqual(received, []);
});

test("a webhook that is deleted leaves no events, and a registry has no more than a hundred", async () => {
  const { list, storage, settle, setAnswer } = await newList();
  setAnswer(() => Promise.reject(new Error("out of reach")));
  await list.accept("team/app", [eventOf("a1")]);
  await settle();
  await list.removeWebhook(webhook.id);
  await settle();
  assert.equal(storage.sql.exec("SELECT count(*) AS count FROM outgoing").one().count, 0);
  setAnswer(async () => {});
  const added: boolean[] = [];
  for (let index = 0; index < 101; index++)
    added.push(await list.addWebhook({ ...webhook, id: `hook-${index}` }));
  assert.deepEqual([added.indexOf(false), await list.addWebhook({ ...webhook, id: "hook-0" })], [100, true]);
});
