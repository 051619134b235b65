/**
 * Void leases, on which the ledger must not link a blob any more. When a shard asks whether the repository holds a
 * digest and the answer is no, it drops the holder. A call to link the blob that arrives later must find its lease
 * void.
 */
import type { NumberedLease } from "../../rpc/blob-shard-api.ts";
import { hasRow, type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that forgets old void leases. */
const forgetJob = "forget-leases";

/** How long a void lease is remembered: longer than any lease is valid, by the clock of any object. */
const keptMs = 3_600_000;

/** Void leases: the latest one of each digest. */
export class VoidLeases implements Feature {
  readonly tables = { void_leases: "awaited" } as const;

  readonly steps = {
    5: `
  CREATE TABLE void_leases (
    digest TEXT PRIMARY KEY,
    lease INTEGER NOT NULL,
    voided_at INTEGER NOT NULL
  ) WITHOUT ROWID;
`,
  };

  readonly jobs = {
    [forgetJob]: {
      atDeletion: "kept",
      run: async () => transaction(this.#host.storage, (tx) => this.#forget(tx)),
    },
  } as const;

  readonly #host: LedgerHost;

  constructor(host: LedgerHost) {
    this.#host = host;
  }

  /** Whether a lease is void. */
  isVoid({ digest, lease }: NumberedLease): boolean {
    const query = "SELECT 1 FROM void_leases WHERE digest = ? AND lease >= ?";
    return hasRow(this.#host.sql, query, digest, lease);
  }

  /** Voids leases, and all earlier leases of the same digests. */
  add(tx: Tx, leases: NumberedLease[]): void {
    const { due, clock } = this.#host;
    const now = clock.now();
    const add = `INSERT INTO void_leases (digest, lease, voided_at) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET lease = max(lease, excluded.lease), voided_at = excluded.voided_at`;
    for (const { digest, lease } of leases) tx.write(add, digest, lease, now);
    if (!due.has(forgetJob)) due.set(tx, forgetJob, "", now + keptMs);
  }

  #forget(tx: Tx): void {
    const { sql, due, clock } = this.#host;
    const now = clock.now();
    tx.write("DELETE FROM void_leases WHERE voided_at < ?", now - keptMs + 1);
    if (hasRow(sql, "SELECT 1 FROM void_leases LIMIT 1")) due.set(tx, forgetJob, "", now + keptMs);
    else due.clear(tx, forgetJob, "");
  }
}
