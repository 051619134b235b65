import assert from "node:assert/strict";
import test from "node:test";
import { answerInRoom } from "../../src/edge/answer-room.ts";
import type { Answer, Context } from "../../src/edge/context.ts";
import { failure } from "../../src/oci/errors.ts";
import { mebibyte } from "../support/content.ts";

/** A registry of its own, whose waits move its clock, and how many answers are made at the same time in it. */
function answers() {
  const clock = { time: 1_000_000, now: () => clock.time };
  Object.assign(globalThis, {
    scheduler: {
      wait: async (ms: number) => {
        clock.time += ms;
      },
    },
  });
  const registry = { clock };
  const ask = (path: string, make: () => Promise<Answer>, account = "ann") => {
    const url = new URL(path, "https://registry.example");
    const access = { account, credential: account === "anonymous" ? "none" : "bearer" };
    const context = { registry, url, access, address: "192.0.2.1" } as unknown as Context;
    return answerInRoom(context, make);
  };
  return { ask, clock };
}

const large: Answer = { status: 200, body: "x".repeat(mebibyte) };
const never = () => new Promise<Answer>(() => {});

test("a large answer keeps its room until it is sent, a small one and a refusal do not", async () => {
  const { ask } = answers();
  for (let times = 0; times < 100; times++) {
    const sent = await ask(`/large?${times}`, async () => large);
    assert("room" in sent && sent.room !== undefined);
    sent.room.release();
    assert(!("room" in (await ask(`/small?${times}`, async () => ({ status: 200, body: "{}" })))));
    const refused = await ask(`/refused?${times}`, async () => failure("NAME_UNKNOWN"));
    assert(!("room" in refused));
  }
});

test("a caller has eight answers made at once; another one does not wait for them", async () => {
  const { ask, clock } = answers();
  for (let count = 0; count < 8; count++) void ask(`/${count}`, never);
  const began = clock.time;
  await ask("/other", async () => large, "bob");
  assert.equal(clock.time, began);
  // What takes longer than five seconds gives its room away.
  await ask("/one-more", async () => large);
  assert.equal(clock.time - began, 5000);
});

const small: Answer = { status: 200, body: "{}" };

test("an answer that was small a moment ago needs no room, as long as the same caller asks the same", async () => {
  const { ask, clock } = answers();
  await ask("/tags?n=1", async () => small);
  for (let count = 0; count < 8; count++) void ask(`/${count}`, never);
  const began = clock.time;
  await ask("/tags?n=1", async () => small);
  assert.equal(clock.time, began);
  await ask("/tags?n=2", async () => large);
  assert.equal(clock.time - began, 5000);
});

test("unless it has become large: it waits for room then, and is not known to be small any more", async () => {
  const { ask, clock } = answers();
  await ask("/tags", async () => small);
  for (let count = 0; count < 8; count++) void ask(`/${count}`, never);
  const began = clock.time;
  const grown = await ask("/tags", async () => large);
  assert.equal(clock.time - began, 5000);
  assert("room" in grown && grown.room !== undefined);
  for (let count = 8; count < 16; count++) void ask(`/${count}`, never);
  let isMade = false;
  const next = ask("/tags", async () => {
    isMade = true;
    return small;
  });
  assert.equal(isMade, false);
  await next;
});

test("of what was small no more than sixteen are made at once without room", async () => {
  const { ask } = answers();
  for (let count = 0; count < 24; count++) await ask(`/tags?n=${count}`, async () => small);
  let made = 0;
  const make = () => {
    made++;
    return never();
  };
  for (let count = 0; count < 24; count++) void ask(`/tags?n=${count}`, make);
  assert.equal(made, 16);
});

test("who has no credential is known by the network", async () => {
  const { ask, clock } = answers();
  for (let count = 0; count < 8; count++) void ask(`/${count}`, never, "anonymous");
  const began = clock.time;
  await ask("/more", async () => large);
  assert.equal(clock.time, began);
  await ask("/more", async () => large, "anonymous");
  assert.equal(clock.time - began, 5000);
});
