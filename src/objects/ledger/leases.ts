/**
 * The leases on which a ledger will link nothing any more. A shard that asks whether the repository holds a digest, and
 * hears "no", drops the holder; a link that was on its way must then find that its lease is void.
 */
import type { Clock } from "../../clock.ts";
import type { NumberedLease } from "../blob-shard-api.ts";
import type { DueTable } from "../due.ts";
import { hasRow, type Tx } from "../sql.ts";

/** The job of the `due` table that forgets leases that ended long ago. */
export const forgetLeasesJob = "forget-leases";

/** How long a void lease is remembered: none is valid for so long, by whatever clock. */
const keptMs = 3_600_000;

/** Void leases in SQL: of each digest the last one. */
export class VoidLeaseStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether nothing may be linked on this lease. */
  isVoid({ digest, lease }: NumberedLease): boolean {
    const query = "SELECT 1 FROM void_leases WHERE digest = ? AND lease >= ?";
    return hasRow(this.#sql, query, digest, lease);
  }

  /** Voids a lease of a digest and all before it. */
  add(tx: Tx, { digest, lease }: NumberedLease, now: number): void {
    tx.write(
      `INSERT INTO void_leases (digest, lease, voided_at) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET lease = max(lease, excluded.lease), voided_at = excluded.voided_at`,
      digest,
      lease,
      now,
    );
  }

  /** Forgets what was voided before a time. */
  forgetBefore(tx: Tx, time: number): void {
    tx.write("DELETE FROM void_leases WHERE voided_at < ?", time);
  }

  isEmpty(): boolean {
    return !hasRow(this.#sql, "SELECT 1 FROM void_leases LIMIT 1");
  }
}

/** What remembers void leases, and forgets them in time. */
type LeaseMemory = { leases: VoidLeaseStore; due: DueTable; clock: Clock };

/** Promises to link nothing on these leases. */
export function voidLeases(tx: Tx, { leases, due, clock }: LeaseMemory, given: NumberedLease[]): void {
  const now = clock.now();
  for (const lease of given) leases.add(tx, lease, now);
  if (!due.has(forgetLeasesJob)) due.set(tx, forgetLeasesJob, "", now + keptMs);
}

/** Forgets leases that have ended long ago. */
export function forgetLeases(tx: Tx, { leases, due, clock }: LeaseMemory): void {
  const now = clock.now();
  leases.forgetBefore(tx, now - keptMs + 1);
  if (leases.isEmpty()) due.clear(tx, forgetLeasesJob, "");
  else due.set(tx, forgetLeasesJob, "", now + keptMs);
}
