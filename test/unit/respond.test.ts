import assert from "node:assert/strict";
import test from "node:test";
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
  assert(pieces.every(({ byteLength }) => byteLength <= mebibyte / 4));
});

test("a small body is given as a whole", async () => {
  assert.equal((await piecesOf(content(100_000))).length, 1);
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
