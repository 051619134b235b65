/**
 * What an isolate remembers of deletions that it passed on.
 */
import type { Digest } from "../oci/digest.ts";
import type { Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { Registry } from "./registry.ts";

/**
 * Notes what came of deleting a blob or manifest. One that was not there counts as well: the answer to a deletion may
 * be lost, and when it is repeated, the replica may still have the row.
 */
export function noteDeletion(
  { cache }: Registry,
  repository: RepositoryName,
  digest: Digest,
  deleted: Result,
): void {
  if (deleted.ok || deleted.error.endsWith("_UNKNOWN")) cache.noteDeletion(repository, digest);
}
