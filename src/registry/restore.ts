/**
 * The history of tags, and restoring moved or deleted tags and deleted manifests.
 */

import type { Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { PageRequest } from "../oci/http.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { Page } from "../rpc/api.ts";
import type { Deletion, DeletionPage, RestoredRepository, TagMove, TagRestore } from "../rpc/upkeep.ts";
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
 * does not exist, `NAME_UNKNOWN`, `TAG_IMMUTABLE`.
 */
export async function restoreTag(
  registry: Registry,
  repository: RepositoryName,
  tag: Tag,
  wanted: TagRestore,
  origin: Origin,
): Promise<Result<{ digest: Digest; sequence: number }>> {
  return registry.ledger(repository).restoreTag(tag, wanted, origin, await registry.policies.of(repository));
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
  const restored = await registry
    .ledger(repository)
    .restoreManifest(digest, origin, await registry.policies.of(repository));
  if (restored.ok) registry.cache.notePush(repository, digest);
  return restored;
}

/**
 * Restores a repository that was deleted: the last time, or in the generation of this number. A large one comes back in
 * batches after that. Error: `DELETION_UNKNOWN`.
 */
export async function restoreRepository(
  registry: Registry,
  repository: RepositoryName,
  generation: number | undefined,
  origin: Origin,
): Promise<Result<RestoredRepository>> {
  const restored = await registry.ledger(repository).restoreRepository(generation, origin);
  registry.visibilities.delete(repository);
  return restored;
}

/** How many deletions of a repository are listed with those of others. */
const mostDeletions = 50;

/** What was deleted in a repository: the first deletions, and whether there are more. */
type DeletedIn = { name: RepositoryName; deletions: Deletion[]; more: boolean };

/** A page of the repositories in which something was deleted. `last`: where the next page begins. */
export async function listDeleted(
  registry: Registry,
  { last, limit }: PageRequest,
): Promise<{ entries: DeletedIn[]; last: string | undefined }> {
  const page = await registry.catalog().listLedgers(last, limit);
  const found = await mapAtOnce(page.entries, async (name) => {
    const deleted = await registry.listedLedger(name).deletions("", mostDeletions);
    return { name, deletions: deleted.entries, more: deleted.last !== undefined };
  });
  return {
    entries: found.filter(({ deletions }) => deletions.length > 0),
    last: page.more ? page.entries.at(-1) : undefined,
  };
}

/** A page of what was deleted in a repository and can be restored. `last`: where the next page begins. */
export function listDeletedIn(
  registry: Registry,
  repository: RepositoryName,
  { last, limit }: PageRequest,
): Promise<DeletionPage> {
  return registry.ledger(repository).deletions(last, limit);
}
