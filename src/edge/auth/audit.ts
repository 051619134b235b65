/**
 * The audit log: who did what, or was refused, from where. A line in the log, and a row in the catalog, which keeps
 * the latest. No secret is ever in it.
 */
import type { AuditEntry } from "../../objects/api.ts";
import type { Context } from "../context.ts";

/** What happened; the rest of the entry is known from the request. */
export type AuditEvent = Pick<AuditEntry, "action" | "target" | "outcome"> & {
  actor?: string;
  detail?: string;
};

/** Writes entries. The answer does not wait for it, and never fails for it. */
export function audit(
  context: Pick<Context, "registry" | "access" | "address" | "requestId" | "waitUntil">,
  ...events: AuditEvent[]
): void {
  if (events.length === 0) return;
  const { registry, access, address, requestId, waitUntil } = context;
  const time = new Date(registry.clock.now()).toISOString();
  const entries = events.map(
    (event): AuditEntry => ({ time, actor: access.account, address, requestId, ...event }),
  );
  for (const entry of entries) console.log(JSON.stringify({ event: "audit", ...entry }));
  waitUntil(
    registry
      .catalog()
      .audit(entries)
      .catch(() => {}),
  );
}
