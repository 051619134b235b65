/** A ledger in memory, without an object: for tests of its features. */
import type { Env } from "../../src/bindings.ts";
import { createLedger, type LedgerParts, makeParts } from "../../src/objects/ledger/parts.ts";
import { type Tx, transaction } from "../../src/objects/sql.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { memoryStorage } from "./sqlite.ts";

/** The parts of a ledger that nobody has written to, what its clock shows, and transactions. */
export type MemoryLedger = LedgerParts & {
  clock: { nowMs: number; now: () => number };
  change: <T>(work: (tx: Tx) => T) => T;
};

/** Makes a ledger of `team/app`, with bindings of its own. */
export function memoryLedger(env: Partial<Env> = {}): MemoryLedger {
  const storage = memoryStorage();
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const parts = makeParts(storage, env as Env, clock);
  transaction(storage, (tx) => createLedger(tx, parts, "team/app" as RepositoryName));
  parts.repository.reload();
  return { ...parts, clock, change: (work) => transaction(storage, work) };
}
