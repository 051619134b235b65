/**
 * How much a ledger holds. An object's database has 10 GB on the platform. From `LEDGER_LIMIT` on, the ledger takes no
 * more manifests and links; what is left above it is for deletions, restorations and upkeep, which add rows, too.
 */
import type { LedgerHost } from "./feature.ts";

/** Whether the ledger takes no more manifests and links. */
export function isFull({ sql, settings }: Pick<LedgerHost, "sql" | "settings">): boolean {
  return sql.databaseSize >= settings.ledgerLimitBytes;
}
