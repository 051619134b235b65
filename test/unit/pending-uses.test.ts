/** Who waits to use a blob that they pushed or were told of, and how long it is kept for them. */
import assert from "node:assert/strict";
import test from "node:test";
import { PendingUses } from "../../src/objects/ledger/blobs.ts";
import type { Digest } from "../../src/oci/reference.ts";

const startMs = 1_700_000_000_000;
const leaseMs = 60_000;
const waitMs = 5 * leaseMs;
/** What the ledger has written down of a blob. */
const writtenMs = startMs - 1;

const digest = (number: number) => `sha256:${number.toString(16).padStart(64, "0")}` as Digest;
const blob = digest(0);
const another = digest(1);

/** Clients that were told of a blob this long after the start, and how many manifests have come that name it. */
function usesOf(toldAt: number[], manifests: number): PendingUses {
  const clock = { nowMs: startMs, now: () => clock.nowMs };
  const uses = new PendingUses(clock, leaseMs);
  for (const at of toldAt) {
    clock.nowMs = startMs + at;
    uses.expect(blob);
  }
  for (let count = 0; count < manifests; count++) uses.fulfil([blob, another]);
  return uses;
}

const cases: Record<string, { toldAt: number[]; manifests: number; keptUntil: number }> = {
  "a blob is kept for a client whose manifest has not come, for five leases": {
    toldAt: [1000],
    manifests: 0,
    keptUntil: startMs + 1000 + waitMs,
  },
  "a blob is kept for the last of several, when the manifest of one has come": {
    toldAt: [1000, 2000],
    manifests: 1,
    keptUntil: startMs + 2000 + waitMs,
  },
  "a blob is kept for a lease after the last was told, when all manifests have come": {
    toldAt: [1000, 2000],
    manifests: 2,
    keptUntil: startMs + 2000 + leaseMs,
  },
  "a blob is kept no shorter for more manifests than clients": {
    toldAt: [1000],
    manifests: 3,
    keptUntil: startMs + 1000 + leaseMs,
  },
  "a blob is kept for as many clients as are remembered, and not for one that came before those": {
    toldAt: Array.from({ length: 9 }, () => 1000),
    manifests: 8,
    keptUntil: startMs + 1000 + leaseMs,
  },
  "a blob is kept as was written down, where nobody is remembered": {
    toldAt: [],
    manifests: 1,
    keptUntil: writtenMs + waitMs,
  },
};

for (const [name, { toldAt, manifests, keptUntil }] of Object.entries(cases)) {
  test(name, () => {
    assert.equal(usesOf(toldAt, manifests).lastUse(blob, writtenMs) + waitMs, keptUntil);
  });
}

test("a blob is kept as was written down, where there are more blobs than are remembered", () => {
  const uses = usesOf([1000], 0);
  for (let number = 1; number <= 10_000; number++) uses.expect(digest(number));
  assert.equal(uses.lastUse(blob, writtenMs), writtenMs);
});
