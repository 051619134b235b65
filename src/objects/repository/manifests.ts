/**
 * How a ledger takes manifests in and gives them up, and the tags that move with them.
 */
import { failure, type Result } from "../../oci/errors.ts";
import type { ManifestPut } from "../api.ts";
import { type LedgerParts, unlinkLater } from "./links.ts";

/**
 * Stores a manifest and points tags at it. In the caller's transaction. Error: `MANIFEST_BLOB_UNKNOWN`, with all that
 * is missing; nothing is changed then.
 */
export function storeManifest(parts: LedgerParts, put: ManifestPut): Result {
  const { manifests, blobs, outbox, clock } = parts;
  const { digest, facts } = put;
  const now = clock.now();
  // The same bytes may have been pushed as another media type, under which they named something else.
  const isKnown = manifests.stat(digest)?.mediaType === facts.mediaType;
  // One that is here as what it is has passed this check, and the blobs that it references are kept.
  const missing = isKnown || put.sparse ? [] : manifests.missing(facts.references);
  if (missing.length > 0) {
    return failure(
      "MANIFEST_BLOB_UNKNOWN",
      missing.map((each) => ({ digest: each })),
    );
  }
  const linkedLately = blobs.takeUnreplicated(facts.references.map((reference) => reference.digest));
  for (const blob of linkedLately) outbox.mark({ kind: "blob", digest: blob });
  if (!isKnown) {
    const referencedBefore = manifests.delete(digest);
    manifests.write(digest, put.bytes, facts, now);
    unlinkLater(parts, referencedBefore);
  }
  if (!isKnown || linkedLately.length > 0) outbox.mark({ kind: "manifest", digest });
  for (const tag of put.tags) moveTag(parts, tag, digest, put.actor);
  return { ok: true };
}

/** Takes a manifest away, with the tags that point at it. In the caller's transaction. Error: `MANIFEST_UNKNOWN`. */
export function removeManifest(
  parts: LedgerParts,
  digest: string,
  actor: string,
): Result<{ tags: string[] }> {
  const { manifests, tags, outbox } = parts;
  if (!manifests.has(digest)) return failure("MANIFEST_UNKNOWN", { digest });
  const pointing = tags.pointingAt(digest);
  for (const tag of pointing) moveTag(parts, tag, undefined, actor);
  unlinkLater(parts, manifests.delete(digest));
  outbox.mark({ kind: "manifest", digest });
  return { ok: true, tags: pointing };
}

/** Points a tag at a digest, or deletes it (`undefined`). In the caller's transaction. Returns whether that changed anything. */
export function moveTag(
  { tags, outbox, clock }: LedgerParts,
  tag: string,
  digest: string | undefined,
  actor: string,
): boolean {
  const isMoved = tags.move(tag, digest, actor, clock.now());
  if (isMoved) outbox.mark({ kind: "tag", tag });
  return isMoved;
}
