/** How upload sessions ended, as a ledger remembers it. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Digest } from "../../src/oci/reference.ts";
import { content, digestOf } from "../support/content.ts";
import { memoryLedger } from "../support/ledger.ts";

const newDigest = () => digestOf(content()) as Digest;

test("a session that is finished takes the repetition of that, and neither another digest nor a cancellation", () => {
  const { change, sessions } = memoryLedger();
  const digest = newDigest();
  const close = (as: Digest | null) => change((tx) => sessions.close(tx, "session", as));
  assert.deepEqual(
    [close(digest), close(digest), close(newDigest()), close(null)],
    [true, true, false, false],
  );
  assert.deepEqual(sessions.state("session"), { state: "finished", digest });
});

test("a session that is cancelled takes no digest", () => {
  const { change, sessions } = memoryLedger();
  const close = (as: Digest | null) => change((tx) => sessions.close(tx, "session", as));
  assert.deepEqual([close(null), close(null), close(newDigest())], [true, true, false]);
  assert.deepEqual(sessions.state("session"), { state: "cancelled" });
});
