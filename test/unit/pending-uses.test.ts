/** Who waits to use a blob that they pushed or were told of, and how long it is kept for them. */
import assert from "node:assert/strict";
import test from "node:test";
import { PendingUses } from "../../src/objects/ledger/blobs.ts";
import { type Digest, digestOfContent } from "../../src/oci/digest.ts";
import { content, encode } from "../support/content.ts";

const startMs = 1_700_000_000_000;
const leaseMs = 60_000;
const waitMs = 5 * leaseMs;
const blob: Digest = digestOfContent(content(), "sha256");
const another: Digest = digestOfContent(content(), "sha256");
/** What the ledger has written down of a blob. */
const known = startMs - 1;

/** Clients that came for a blob at these times, and manifests of so many of them. */
function pendingUses(cameAt: number[], manifests: number): PendingUses {
  const clock = { nowMs: 0, now: () => clock.nowMs };
  const pending = new PendingUses(clock, leaseMs);
  for (const at of cameAt) {
    clock.nowMs = startMs + at;
    pending.expect(blob);
  }
  for (let count = 0; count < manifests; count++) pending.fulfil([blob, another]);
  return pending;
}

const cases: Record<string, { cameAt: number[]; manifests: number; keptUntil: number }> = {
  "a client whose manifest has not come is waited for to the end": {
    cameAt: [1000],
    manifests: 0,
    keptUntil: startMs + 1000 + waitMs,
  },
  "of several clients, the last counts whose manifest has not come": {
    cameAt: [1000, 2000],
    manifests: 1,
    keptUntil: startMs + 2000 + waitMs,
  },
  "a client whose manifest has come is waited for a lease from when it came": {
    cameAt: [1000, 2000],
    manifests: 2,
    keptUntil: startMs + 2000 + leaseMs,
  },
  "more manifests than clients change nothing": {
    cameAt: [1000],
    manifests: 3,
    keptUntil: startMs + 1000 + leaseMs,
  },
  "where no client came, what was written down counts": {
    cameAt: [],
    manifests: 1,
    keptUntil: known + waitMs,
  },
};

for (const [name, { cameAt, manifests, keptUntil }] of Object.entries(cases)) {
  test(name, () => {
    assert.equal(pendingUses(cameAt, manifests).lastUse(blob, known) + waitMs, keptUntil);
  });
}

test("of more blobs than are remembered, what was written down counts", () => {
  const pending = pendingUses([1000], 0);
  for (let number = 0; number < 10_000; number++)
    pending.expect(digestOfContent(encode({ number }), "sha256"));
  assert.equal(pending.lastUse(blob, known), known);
});
