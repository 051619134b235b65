/**
 * The history of tags, and restoring moved or deleted tags and deleted manifests.
 */

import type { Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { PageRequest } from "../oci/http.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { Page } from "../rpc/api.ts";
import type { Restorable, TagMove, TagRestore } from "../rpc/upkeep.ts";
import type { Registry } from "./registry.ts";
import { mapAtOnce } from "./walk.ts";

/** A page of the moves of a tag, newest first, before the one with this sequence number. Error: `NAME_UNKNOWN`. */
export function tagHistory(
  registry: Registry,
  repository: RepositoryName,
  tag: Tag,
  before: number,
  limit: number,
): Promise<Result<{ page: Page<TagMove> }>> {
  return registry.ledger(repository).tagHistory(tag, before, limit);
}

/**
 * Points a tag at a manifest that it pointed at before. Errors: `TAG_MOVE_UNKNOWN`, `MANIFEST_UNKNOWN` if the manifest
 * does not exist, `NAME_UNKNOWN`.
 */
export function restoreTag(
  registry: Registry,
  repository: RepositoryName,
  tag: Tag,
  wanted: TagRestore,
  origin: Origin,
): Promise<Result<{ digest: Digest; sequence: number }>> {
  return registry.ledger(repository).restoreTag(tag, wanted, origin);
}

/**
 * Restores a deleted manifest and those of its tags that do not exist. Errors: `MANIFEST_UNKNOWN`,
 * `MANIFEST_BLOB_UNKNOWN` if something that it references was deleted, too, `NAME_UNKNOWN`.
 */
export async function restoreManifest(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
  origin: Origin,
): Promise<Result<{ tags: string[] }>> {
  const restored = await registry.ledger(repository).restoreManifest(digest, origin);
  if (restored.ok) registry.cache.notePush(repository, digest);
  return restored;
}

/** How many deleted manifests of a repository are listed at most. */
const mostRestorable = 50;

/**
 * A page of repositories with the deleted manifests of each that can be restored. `last`: where the next page begins.
 */
export async function listRestorable(
  registry: Registry,
  { last, limit }: PageRequest,
): Promise<{ entries: (Restorable & { name: RepositoryName })[]; last: string | undefined }> {
  const page = await registry.catalog().listRepositories("", last, limit);
  const found = await mapAtOnce(page.entries, async ({ name }) => ({
    name,
    ...(await registry.ledger(name).restorable(mostRestorable)),
  }));
  return {
    entries: found.filter(({ count }) => count > 0),
    last: page.more ? page.entries.at(-1)?.name : undefined,
  };
}
