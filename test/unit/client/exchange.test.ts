/** Answers that are read as a whole, and those that never end. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { RegistryError } from "../../../src/client/errors.ts";
import { readWhole } from "../../../src/client/exchange.ts";
import { refusalOf } from "../../../src/client/refusals.ts";
import { TokenCache } from "../../../src/client/tokens.ts";

/** A body that sends a byte whenever it is told to, and never ends. `cancelled`: whether nobody reads it any more. */
function endless() {
  let send = () => {};
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      send = () => controller.enqueue(new Uint8Array(1));
    },
    cancel: () => {
      isCancelled = true;
    },
  });
  return { body, send: () => send(), isCancelled: () => isCancelled };
}

/** Mocks the clock; returns what lets time pass, and what waits for it. */
function mockTime(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  return async (milliseconds: number) => {
    await new Promise(setImmediate);
    nowMs += milliseconds;
    t.mock.timers.tick(milliseconds);
    await new Promise(setImmediate);
  };
}

const isBroken = (error: unknown) => error instanceof RegistryError && error.kind === "broken";

test("an answer that stands still for half a minute is broken off", async (t) => {
  const pass = mockTime(t);
  const { body, send, isCancelled } = endless();
  const reading = assert.rejects(readWhole(new Response(body), 100), isBroken);
  await pass(29_999);
  send();
  await pass(29_999);
  assert.equal(isCancelled(), false);
  await pass(1);
  await reading;
  assert.equal(isCancelled(), true);
});

test("and one that trickles after five minutes", async (t) => {
  const pass = mockTime(t);
  const { body, send } = endless();
  let isOver = false;
  const reading = assert.rejects(readWhole(new Response(body), 100), isBroken).finally(() => {
    isOver = true;
  });
  for (let count = 1; count < 15; count++) {
    await pass(20_000);
    assert.equal(isOver, false);
    send();
  }
  await pass(20_000);
  await reading;
  assert.equal(isOver, true);
});

test("an error whose words do not come is told without them", async (t) => {
  const pass = mockTime(t);
  const { body } = endless();
  const refusal = refusalOf(
    "GET",
    new URL("https://registry.example.org"),
    new Response(body, { status: 503 }),
  );
  await pass(30_000);
  assert.equal((await refusal).status, 503);
});

test("a token that does not come is asked for again by the next request", async (t) => {
  const pass = mockTime(t);
  let asked = 0;
  const ask = async () => {
    asked++;
    return asked === 1 ? new Response(endless().body) : Response.json({ token: "good" });
  };
  const cache = new TokenCache(ask, () => 1_000_000);
  const scopes = [{ type: "repository", name: "a", actions: ["pull"] }];
  const service = { realm: new URL("https://auth.example.org/token"), service: undefined };
  const first = assert.rejects(cache.get(service, scopes, undefined, undefined), isBroken);
  const second = assert.rejects(cache.get(service, scopes, undefined, undefined), isBroken);
  await pass(30_000);
  await Promise.all([first, second]);
  assert.equal(await cache.get(service, scopes, undefined, undefined), "good");
  assert.equal(asked, 2);
});
