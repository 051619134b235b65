/**
 * Pushing, pulling and deleting manifests, by tag and by digest.
 */

import { log } from "../log.ts";
import { meter } from "../metrics/meter.ts";
import { failure, type Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { PageRequest } from "../oci/http.ts";
import { readManifest } from "../oci/manifest.ts";
import type { Precondition } from "../oci/preconditions.ts";
import {
  type AnyDigest,
  algorithmOf,
  type Digest,
  digestOfContent,
  type RepositoryName,
  type Tag,
} from "../oci/reference.ts";
import type { ManifestStat, Page, Referrer, ResolvedTag } from "../rpc/api.ts";
import { putManifest } from "../rpc/founding.ts";
import type { NewManifest } from "../rpc/ledger-writes.ts";
import { Unreachable } from "../rpc/stubs.ts";
import type { ManifestRow } from "../storage/replica.ts";
import type { Registry } from "./registry.ts";
import type { WaitUntil } from "./shared-calls.ts";

/** What a tag points at. `isStale`: the ledger could not be reached, so the tag may have moved meanwhile. */
export type TagAnswer = { digest: Digest; stat?: ManifestStat; isStale: boolean };

/** The manifest's bytes and type. */
export type ManifestContent = { digest: Digest; mediaType: string; bytes: Uint8Array };

/**
 * Resolves a tag by the ledger, or, under `TAG_READS=edge`, by the replica first.
 *
 * `acceptStale`: while the ledger is unreachable, the replica may answer instead. `isRepeated`: the manifest that the
 * tag resolved to the first time did not exist, so only the ledger may answer. Error: `MANIFEST_UNKNOWN`, which only
 * the ledger decides.
 *
 * @throws Unreachable if the ledger is unreachable, and the replica may not or cannot answer.
 */
export async function resolveTag(
  registry: Registry,
  repository: RepositoryName,
  tag: Tag,
  { acceptStale, isRepeated, waitUntil }: { acceptStale: boolean; isRepeated: boolean; waitUntil: WaitUntil },
): Promise<Result<TagAnswer>> {
  if (registry.settings.tagReads === "edge" && !isRepeated) {
    const digest = await registry.tagsSeen.fromReplica(registry.replica, repository, tag);
    if (digest !== undefined) return { ok: true, digest, isStale: false };
  }
  let resolved: ResolvedTag | null;
  try {
    const look = (tags: Tag[]) => registry.ledger(repository).resolveTags(tags);
    resolved = await registry.tagLookups.ask(repository, tag, look, waitUntil);
  } catch (error) {
    if (!(error instanceof Unreachable) || !acceptStale || isRepeated) throw error;
    const digest = await registry.tagsSeen.fromReplica(registry.replica, repository, tag);
    if (digest === undefined) throw error;
    return { ok: true, digest, isStale: true };
  }
  if (resolved === null) return failure("MANIFEST_UNKNOWN", { tag });
  registry.tagsSeen.note(repository, tag, resolved);
  const { digest, mediaType, sizeBytes } = resolved;
  return { ok: true, digest, stat: { digest, mediaType, sizeBytes }, isStale: false };
}

/**
 * Reads a manifest by digest from the isolate's cache, the replica or the ledger. Bytes from the replica or the ledger
 * are verified before they are cached. Errors: `MANIFEST_UNKNOWN`; `UNAVAILABLE` if the ledger's bytes are damaged.
 */
export async function readManifestContent(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
): Promise<Result<ManifestContent>> {
  const { cache, replica } = registry;
  const remembered = cache.manifest(repository, digest);
  meter.add("stowage_cache_lookups_total", ["manifests", remembered === undefined ? "miss" : "hit"]);
  if (remembered !== undefined) return { ok: true, digest, ...remembered };
  const replicated = cache.wasDeleted(repository, digest)
    ? undefined
    : await replica?.manifest(repository, digest);
  const read: Result<{ row: ManifestRow }> =
    replicated === undefined
      ? await readFromLedger(registry, repository, digest)
      : { ok: true, row: replicated };
  if (!read.ok) return read;
  const { row } = read;
  cache.setManifest(repository, digest, row);
  return { ok: true, digest, mediaType: row.mediaType, bytes: row.bytes };
}

async function readFromLedger(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
): Promise<Result<{ row: ManifestRow }>> {
  const row = await registry.ledger(repository).manifest(digest);
  if (row === undefined) return failure("MANIFEST_UNKNOWN", { digest });
  if (digestOfContent(row.bytes, algorithmOf(digest)) === digest) return { ok: true, row };
  log("error", "manifest damaged", { repository, digest });
  return failure("UNAVAILABLE", { digest });
}

/** A manifest without its bytes, from the ledger. Error: `MANIFEST_UNKNOWN`. */
export async function statManifest(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
): Promise<Result<ManifestStat>> {
  const stat = await registry.ledger(repository).statManifest(digest);
  return stat === undefined ? failure("MANIFEST_UNKNOWN", { digest }) : { ok: true, ...stat };
}

/** A manifest that a client pushes: under a digest, tags, or both. */
export type ManifestPush = {
  repository: RepositoryName;
  digest: Digest | undefined;
  tags: Tag[];
  bytes: Uint8Array;
  contentType: string | undefined;
  origin: Origin;
  precondition?: NewManifest["precondition"];
};

/**
 * Stores a manifest, if its digest is right and all of its references exist.
 *
 * Errors: `DIGEST_INVALID`, `MANIFEST_INVALID`, `MANIFEST_BLOB_UNKNOWN` with all missing references in the detail,
 * `NAME_REFUSED`, `TAG_REFUSED`, `TAG_IMMUTABLE`, `PRECONDITION_FAILED`.
 */
export async function pushManifest(
  registry: Registry,
  push: ManifestPush,
): Promise<Result<{ digest: Digest; subject: AnyDigest | undefined }>> {
  const { repository, bytes, tags, origin, precondition } = push;
  const computed = digestOfContent(bytes, push.digest === undefined ? "sha256" : algorithmOf(push.digest));
  if (push.digest !== undefined && push.digest !== computed) {
    return failure("DIGEST_INVALID", { digest: push.digest, computed });
  }
  const reading = readManifest(bytes, push.contentType);
  if (!reading.ok) return failure("MANIFEST_INVALID", reading.reason);
  const { facts } = reading;
  const sparse = registry.settings.sparseManifests === "accept";
  const policy = await registry.policies.of(repository);
  const put = { repository, digest: computed, bytes, facts, tags, origin, sparse, policy, precondition };
  const stored = await putManifest(registry.objects, put);
  if (!stored.ok) return stored;
  registry.cache.notePush(repository, computed);
  return { ok: true, digest: computed, subject: facts.subject };
}

/**
 * Deletes a manifest with the tags that point at it. Errors: `MANIFEST_UNKNOWN`, `NAME_UNKNOWN`, `TAG_IMMUTABLE`,
 * `PRECONDITION_FAILED`.
 */
export async function deleteManifest(
  registry: Registry,
  repository: RepositoryName,
  digest: Digest,
  origin: Origin,
  precondition: Precondition | undefined,
): Promise<Result> {
  const policy = await registry.policies.of(repository);
  const deleted = await registry.ledger(repository).deleteManifest(digest, origin, policy, precondition);
  registry.cache.noteDeletionResult(repository, digest, deleted);
  return deleted;
}

/** Deletes a tag but not its manifest. Errors as of {@link deleteManifest}. */
export async function deleteTag(
  registry: Registry,
  repository: RepositoryName,
  tag: Tag,
  origin: Origin,
  precondition: Precondition | undefined,
): Promise<Result> {
  const policy = await registry.policies.of(repository);
  return registry.ledger(repository).deleteTag(tag, origin, policy, precondition);
}

/** A page of a repository's tags. Error: `NAME_UNKNOWN`. */
export function listTags(
  registry: Registry,
  repository: RepositoryName,
  { last, limit }: PageRequest,
  waitUntil: WaitUntil,
): Promise<Result<{ page: Page<string> }>> {
  const list = async () => [await registry.ledger(repository).listTags(last, limit)];
  return registry.tagLists.ask(`${repository} ${limit} ${last}`, "page", list, waitUntil);
}

/** A page of the manifests that have this subject. A repository that does not exist has none. */
export function listReferrers(
  registry: Registry,
  repository: RepositoryName,
  subject: AnyDigest,
  artifactType: string | undefined,
  { last, limit }: PageRequest,
): Promise<Page<Referrer>> {
  return registry.ledger(repository).listReferrers(subject, artifactType, last, limit);
}
