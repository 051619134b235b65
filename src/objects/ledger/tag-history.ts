/**
 * Undo: the moves of tags, which are kept for a while, and putting a tag or a manifest back.
 */

import type { Digest } from "../../oci/digest.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { Origin } from "../../oci/event.ts";
import { readStoredManifest } from "../../oci/manifest.ts";
import type { RepositoryName, Tag } from "../../oci/name.ts";
import type { Tx } from "../sql.ts";
import type { TagRestore } from "../upkeep.ts";
import { moveTag, storeManifest } from "./manifests.ts";
import type { LedgerParts } from "./parts.ts";
import { historyJob } from "./tag-store.ts";

const forgetBatch = 500;

/** The least time between two rounds of forgetting: a move may be kept for so much longer. */
const roundMs = 3_600_000;

/** Forgets the moves that are too old, some at a time. */
export function forgetHistory(tx: Tx, { tags, due, clock, settings }: LedgerParts): void {
  const now = clock.now();
  const isAll = tags.forgetMoves(tx, now - settings.tagHistoryMs, forgetBatch) < forgetBatch;
  const oldest = tags.oldestMoveAt();
  if (oldest === undefined) due.clear(tx, historyJob, "");
  else due.set(tx, historyJob, "", isAll ? Math.max(oldest + settings.tagHistoryMs, now + roundMs) : now);
}

/**
 * Points a tag at what it pointed at before.
 *
 * Errors: `TAG_MOVE_UNKNOWN` when its history does not have that; `MANIFEST_UNKNOWN` when the manifest is gone.
 */
export function restoreTag(
  tx: Tx,
  parts: LedgerParts,
  tag: Tag,
  wanted: TagRestore,
  origin: Origin,
): Result<{ digest: Digest; sequence: number }> {
  const { tags, manifests } = parts;
  const digest = tags.digestBefore(tag, wanted);
  if (digest === undefined) return failure("TAG_MOVE_UNKNOWN", { tag, ...wanted });
  if (!manifests.has(digest)) return failure("MANIFEST_UNKNOWN", { digest });
  moveTag(tx, parts, tag, digest, origin);
  const { sequence = 0 } = tags.read(tag) ?? {};
  return { ok: true, digest: digest as Digest, sequence };
}

/**
 * Puts a deleted manifest back, with those of its tags that do not exist meanwhile.
 *
 * Errors: `MANIFEST_UNKNOWN` when it was not deleted, or too long ago; `MANIFEST_BLOB_UNKNOWN` when what it references
 * was deleted too: that must come back first.
 */
export function restoreManifest(
  tx: Tx,
  parts: LedgerParts,
  repository: RepositoryName,
  digest: Digest,
  origin: Origin,
): Result<{ tags: string[] }> {
  const { manifests, trash, tags, settings } = parts;
  if (manifests.has(digest)) return { ok: true, tags: [] };
  const deleted = trash.read(digest);
  if (deleted === undefined) return failure("MANIFEST_UNKNOWN", { digest });
  const bytes = manifests.bytes(digest, deleted.sizeBytes);
  const facts = readStoredManifest(bytes, deleted.mediaType);
  const free = deleted.tags.filter((tag) => tags.read(tag) === undefined) as Tag[];
  const sparse = settings.sparseManifests === "accept";
  const put = { repository, digest, bytes, facts, tags: free, origin, sparse };
  const stored = storeManifest(tx, parts, put);
  return stored.ok ? { ok: true, tags: free } : stored;
}
