/**
 * How a ledger takes manifests in and gives them up, and the tags that move with them.
 */

import { failure, type Result } from "../../oci/errors.ts";
import { type Origin, registryItself } from "../../oci/event.ts";
import { describeReferences } from "../../oci/manifest.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { ManifestPut } from "../api.ts";
import type { DueRow } from "../due.ts";
import type { Tx } from "../sql.ts";
import { logDeletion } from "../tally.ts";
import { unlinkLater } from "./links.ts";
import type { LedgerParts } from "./parts.ts";
import { hasUnread, reread } from "./reread.ts";
import { historyJob } from "./tag-store.ts";
import { purgeJob } from "./trash-store.ts";
import { untaggedJob, untaggedLater } from "./untagged.ts";

const unreached = "nothing reached it for UNTAGGED_TTL";

/**
 * Stores a manifest and points tags at it. Error: `MANIFEST_BLOB_UNKNOWN`, with all that
 * is missing; nothing is changed then. `accept` is called once it is sure that there is none.
 */
export function storeManifest(tx: Tx, parts: LedgerParts, put: ManifestPut, accept = () => {}): Result {
  const { manifests, trash, blobs, promises, outbox, clock } = parts;
  const { digest, facts, origin } = put;
  const now = clock.now();
  // The same bytes may have been pushed as another media type, under which they named something else.
  const isKnown = manifests.stat(digest)?.mediaType === facts.mediaType;
  // Also of one that is here: it may have been stored under other rules, or its children deleted since.
  const missing = put.sparse ? [] : manifests.missing(facts.references);
  if (missing.length > 0) {
    return failure(
      "MANIFEST_BLOB_UNKNOWN",
      missing.map((each) => ({ digest: each })),
    );
  }
  accept();
  const linkedLately = blobs.reference(
    tx,
    facts.references.map((reference) => reference.digest),
  );
  for (const blob of linkedLately) outbox.mark(tx, { kind: "blob", digest: blob });
  if (!isKnown) {
    trash.forget(tx, digest);
    const referencedBefore = manifests.delete(tx, digest);
    manifests.write(tx, digest, put.bytes, facts, now);
    unlinkLater(tx, parts, referencedBefore);
  }
  if (!isKnown || linkedLately.length > 0) outbox.mark(tx, { kind: "manifest", digest });
  // Who puts again what is here, for another tag or as the answer was lost, has had their use of its blobs.
  if (!isKnown) promises.keep(facts.references.map((reference) => reference.digest));
  recordPush(tx, parts, put);
  for (const tag of put.tags) moveTag(tx, parts, tag, digest, origin);
  untaggedLater(tx, parts, [digest]);
  return { ok: true };
}

/** A push is told of once a tag; also where nothing changed by it, as who pushes again may want a deployment again. */
function recordPush(
  tx: Tx,
  { events }: LedgerParts,
  { digest, bytes, facts, tags, origin }: ManifestPut,
): void {
  const { mediaType } = facts;
  const references = describeReferences(bytes, mediaType);
  const target = { digest, mediaType, sizeBytes: bytes.byteLength, references };
  for (const tag of tags) events.record(tx, "manifest.push", origin, { ...target, tag });
  if (tags.length === 0) events.record(tx, "manifest.push", origin, target);
}

/**
 * Takes a manifest away, with the tags that point at it. It may come back for as long as what it references is kept
 * anyway. Error: `MANIFEST_UNKNOWN`.
 */
export function removeManifest(
  tx: Tx,
  parts: LedgerParts,
  repository: RepositoryName,
  digest: string,
  origin: Origin,
  reason: string,
): Result<{ tags: string[] }> {
  const { manifests, trash, tags, outbox, events, due, clock, graceMs } = parts;
  const stat = manifests.stat(digest);
  if (stat === undefined) return failure("MANIFEST_UNKNOWN", { digest });
  // It may be restored, with all that it names.
  if (hasUnread(parts)) reread(tx, parts, stat);
  const pointing = tags.pointingAt(digest);
  for (const tag of pointing) moveTag(tx, parts, tag, undefined, origin);
  const isKept = graceMs > 0;
  const referenced = isKept ? manifests.withdraw(tx, digest) : manifests.delete(tx, digest);
  if (isKept) {
    const { mediaType, sizeBytes } = stat;
    trash.write(tx, digest, { mediaType, sizeBytes, tags: pointing });
    due.set(tx, purgeJob, digest, clock.now() + graceMs);
  }
  unlinkLater(tx, parts, referenced);
  untaggedLater(tx, parts, [...referenced, ...manifests.withSubject(digest)]);
  outbox.mark(tx, { kind: "manifest", digest });
  events.record(tx, "manifest.delete", origin, { digest });
  logDeletion({
    what: "manifest",
    reason,
    repository,
    digest,
    actor: origin.actor,
    tags: pointing.slice(0, 100),
  });
  return { ok: true, tags: pointing };
}

/**
 * Removes those of the manifests that are due which still nothing reaches; none as long as there are some that may name
 * them.
 */
export function removeUntagged(tx: Tx, parts: LedgerParts, repository: RepositoryName, rows: DueRow[]): void {
  const { settings, manifests, due, tally } = parts;
  if (hasUnread(parts)) return;
  for (const { id: digest } of rows) {
    due.clear(tx, untaggedJob, digest);
    if (settings.untaggedTtlMs === undefined || manifests.isReached(digest)) continue;
    const removed = removeManifest(tx, parts, repository, digest, registryItself, unreached);
    if (removed.ok) tally.add({ manifests: 1 });
  }
}

/** Deletes a tag, and nothing but the tag. Error: `MANIFEST_UNKNOWN`. */
export function removeTag(
  tx: Tx,
  parts: LedgerParts,
  repository: RepositoryName,
  tag: string,
  origin: Origin,
): Result {
  if (!moveTag(tx, parts, tag, undefined, origin)) return failure("MANIFEST_UNKNOWN", { tag });
  logDeletion({ what: "tag", reason: "asked for", repository, tag, actor: origin.actor });
  return { ok: true };
}

/** Points a tag at a digest, or deletes it (`undefined`). Returns whether that changed anything. */
export function moveTag(
  tx: Tx,
  parts: LedgerParts,
  tag: string,
  digest: string | undefined,
  origin: Origin,
): boolean {
  const { tags, outbox, clock, due, settings } = parts;
  const now = clock.now();
  const from = tags.read(tag)?.digest;
  if (!tags.move(tx, tag, digest, origin.actor, now)) return false;
  outbox.mark(tx, { kind: "tag", tag });
  if (!due.has(historyJob)) due.set(tx, historyJob, "", now + settings.tagHistoryMs);
  if (from !== undefined) untaggedLater(tx, parts, [from]);
  recordMove(tx, parts, tag, from, digest, origin);
  return true;
}

function recordMove(
  tx: Tx,
  { events }: LedgerParts,
  tag: string,
  from: string | undefined,
  to: string | undefined,
  origin: Origin,
): void {
  const before = from === undefined ? {} : { previousDigest: from };
  if (to === undefined) events.record(tx, "tag.delete", origin, { tag, ...before });
  else
    events.record(tx, from === undefined ? "tag.create" : "tag.move", origin, { tag, digest: to, ...before });
}
