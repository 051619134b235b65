/**
 * The audit log: who did what, or was refused, from where. A line in the log, and a row in the catalog, which keeps
 * the latest. No secret is ever in it.
 */
import type { AuditEntry, NewAuditEntry } from "../../objects/api.ts";
import type { AuditKind } from "../../oci/audit.ts";
import type { Context } from "../context.ts";
import { cut } from "../cut.ts";
import type { Access } from "./access.ts";
import { guardOf } from "./guard.ts";

/** What happened; the rest of the entry is known from the request. `kind`: if it is not what follows from the rest. */
export type AuditEvent = Pick<AuditEntry, "action" | "target" | "outcome"> & {
  actor?: string;
  detail?: string;
  kind?: AuditKind;
};

/** How long the fields of an entry are, in characters: clients choose some of them. */
const mostCharacters = { actor: 600, action: 100, target: 400, detail: 1000 } as const;

/** Writes entries. The answer does not wait for it, and never fails for it. */
export function audit(
  context: Pick<Context, "registry" | "access" | "address" | "requestId" | "waitUntil">,
  ...events: AuditEvent[]
): void {
  if (events.length === 0) return;
  const { registry, access, address, requestId, waitUntil } = context;
  const time = new Date(registry.clock.now()).toISOString();
  const entries = events.map(({ outcome, kind = kindOf(access, outcome), ...event }): NewAuditEntry => {
    return { kind, ...cutFields({ time, actor: access.account, address, requestId, outcome, ...event }) };
  });
  for (const { kind: _, ...entry } of entries) console.log(JSON.stringify({ event: "audit", ...entry }));
  guardOf(registry).audit.add(entries, waitUntil);
}

/** What was refused, or was wrong, changed nothing; the rest is told apart by whether an administrator did it. */
function kindOf(access: Access, outcome: AuditEntry["outcome"]): AuditKind {
  if (outcome === "denied" || outcome === "failed") return "refusal";
  return access.isAdministrator ? "administration" : "use";
}

function cutFields(entry: AuditEntry): AuditEntry {
  const { actor, action, target, detail } = entry;
  return {
    ...entry,
    actor: cut(actor, mostCharacters.actor),
    action: cut(action, mostCharacters.action),
    target: cut(target, mostCharacters.target),
    ...(detail === undefined ? {} : { detail: cut(detail, mostCharacters.detail) }),
  };
}
