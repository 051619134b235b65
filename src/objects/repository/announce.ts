/**
 * What the catalog knows of a repository, and when a deleted one may be forgotten.
 */
import type { Env } from "../../env.ts";
import { catalogStub } from "../stubs.ts";
import type { LedgerParts } from "./parts.ts";
import type { Meta } from "./schema.ts";

/** The job of the `due` table that tells the catalog. */
export const announceJob = "announce";

/** Tells the catalog what there is to list. */
export async function announce(env: Env, { name, visibility, description, isDeleting }: Meta): Promise<void> {
  const catalog = catalogStub(env);
  await (isDeleting
    ? catalog.removeRepository(name)
    : catalog.putRepository({ name, visibility, description }));
}

/** Whether KV, the shards and the catalog all know that a repository is deleted. */
export function isDrained({ sql, outbox }: LedgerParts): boolean {
  const kinds = JSON.stringify(["release", announceJob]);
  const left = sql.exec("SELECT 1 FROM due WHERE kind IN (SELECT value FROM json_each(?)) LIMIT 1", kinds);
  return left.toArray().length === 0 && outbox.isEmpty();
}
