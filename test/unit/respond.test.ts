import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { PieceSender } from "../../src/edge/piece-sender.ts";
import { respond } from "../../src/edge/respond.ts";
import { content, digestOf, mebibyte } from "../support/content.ts";

/** The runtime's, but for the length that it watches. */
class FixedLengthStream extends TransformStream {
  constructor(_length: number) {
    super();
  }
}
Object.assign(globalThis, { FixedLengthStream });

const asked = { format: "oci", method: "GET", requestId: "x" } as const;

/** The pieces of a body, as they are given to the runtime. */
async function piecesOf(body: Uint8Array, keepOpenUntil: Promise<unknown>[] = []): Promise<Uint8Array[]> {
  const { response } = respond({ status: 200, body }, { ...asked, keepOpenUntil });
  assert.equal(response.headers.get("Content-Length"), String(body.byteLength));
  const pieces: Uint8Array[] = [];
  for await (const piece of response.body ?? []) pieces.push(piece);
  return pieces;
}

test("of a large body that its client reads slowly the runtime holds a piece, and not a copy", async () => {
  const body = content(mebibyte + 1);
  const pieces = await piecesOf(body);
  assert.equal(digestOf(Buffer.concat(pieces)), digestOf(body));
  assert(pieces.every(({ byteLength }) => byteLength <= mebibyte / 16));
});

test("a small body is given as a whole", async () => {
  assert.equal((await piecesOf(content(60_000))).length, 1);
});

test("a body that is to stay open ends after what it waits for", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let hasEnded = false;
  const pieces = piecesOf(content(100), [promise]).finally(() => {
    hasEnded = true;
  });
  await new Promise(setImmediate);
  assert(!hasEnded);
  resolve();
  assert.equal((await pieces).length, 1);
});

/** Sends bodies of a mebibyte, none of which is read, by a clock that is moved with the timers. */
function unreadBodies(t: TestContext, count: number) {
  const clock = { time: 0, now: () => clock.time };
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sender = new PieceSender(clock);
  const advance = async (milliseconds: number) => {
    clock.time += milliseconds;
    t.mock.timers.tick(milliseconds);
    await new Promise(setImmediate);
  };
  const send = () => sender.send(new Uint8Array(mebibyte), []).getReader();
  return { readers: Array.from({ length: count }, send), send, advance };
}

/** How much can still be read of a body. */
async function readRest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<number | "given up"> {
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return bytes;
      bytes += value.byteLength;
    }
  } catch {
    return "given up";
  }
}

test("bodies that nobody reads are held as long as there is room", async (t) => {
  const { readers, advance } = unreadBodies(t, 64);
  for (let minute = 0; minute < 10; minute++) await advance(60_000);
  for (const reader of readers) assert.equal(await readRest(reader), mebibyte);
});

test("bodies that nobody reads are given up until the others have room", async (t) => {
  const { readers, send, advance } = unreadBodies(t, 70);
  await advance(4000);
  const [fresh] = [send()];
  await advance(1000);
  const rests = await Promise.all([...readers, fresh].map(readRest));
  assert.equal(rests.filter((rest) => rest === "given up").length, 7);
  assert.equal(rests.at(-1), mebibyte);
});
