/**
 * What the catalog knows of a repository, and when a deleted one may be forgotten.
 */
import type { Env } from "../../bindings.ts";
import type { Origin } from "../../oci/event.ts";
import type { RepositoryChange, RepositoryInfo } from "../api.ts";
import { hasRow, type Tx } from "../sql.ts";
import { catalogStub } from "../stubs.ts";
import { backlogJob } from "./backlog.ts";
import type { LedgerParts } from "./parts.ts";
import { type Meta, writeMeta } from "./schema.ts";

/** The job of the `due` table that tells the catalog. */
export const announceJob = "announce";

/** Changes what is said of the repository. */
export function changeInfo(
  tx: Tx,
  { events, due, clock }: LedgerParts,
  before: RepositoryInfo,
  change: RepositoryChange,
  origin: Origin,
): void {
  const { visibility, description } = { ...before, ...change };
  writeMeta(tx, "visibility", visibility);
  writeMeta(tx, "description", description);
  if (visibility !== before.visibility) events.record(tx, "repository.visibility", origin, { visibility });
  due.set(tx, announceJob, "", clock.now());
}

/** Tells the catalog what there is to list. */
export async function announce(env: Env, { name, visibility, description, isDeleting }: Meta): Promise<void> {
  const catalog = catalogStub(env);
  await (isDeleting
    ? catalog.removeRepository(name)
    : catalog.putRepository({ name, visibility, description }));
}

/** Whether KV, the shards, the catalog and whoever listens all know that a repository is deleted. */
export function isDrained({ sql, outbox, events }: LedgerParts): boolean {
  const kinds = JSON.stringify(["release", announceJob, backlogJob]);
  const isLeft = hasRow(
    sql,
    "SELECT 1 FROM due WHERE kind IN (SELECT value FROM json_each(?)) LIMIT 1",
    kinds,
  );
  return !isLeft && outbox.isEmpty() && events.isEmpty();
}

/** Whether a ledger without a repository still has to know of sessions that ended, or of leases that are void. */
export function remembersAny({ blobs, leases }: LedgerParts): boolean {
  return !leases.isEmpty() || blobs.hasClosedSessions();
}
