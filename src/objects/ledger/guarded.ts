/** Changes that clients ask for, as far as the policies allow them. Each keeps the policy that came with it. */
import { failure, type Result } from "../../oci/errors.ts";
import type { Origin } from "../../oci/event.ts";
import { type Precondition, refuseChange } from "../../oci/preconditions.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import type { AppliedPolicy } from "../../policy/document.ts";
import type { ManifestPut } from "../../rpc/ledger-writes.ts";
import type { TagRestore } from "../../rpc/upkeep.ts";
import type { Tx } from "../sql.ts";
import type { DeletedManifests } from "./deleted-manifests.ts";
import type { Manifests } from "./manifests.ts";
import type { Policies } from "./policies.ts";
import type { Tags } from "./tags.ts";

type Features = { policies: Policies; manifests: Manifests; tags: Tags; deleted: DeletedManifests };

/** The policy that a request came with, where there are any. */
type Sent = AppliedPolicy | undefined;

/**
 * The changes. Each is refused with `TAG_IMMUTABLE` if a tag must stay as it is, and with `PRECONDITION_FAILED` if what
 * is here is not what the client demands, besides the errors that it names. What is refused before its content matters
 * is refused as without a precondition (RFC 9110, section 13.2.1).
 */
export class GuardedChanges {
  readonly #features: Features;

  constructor(features: Features) {
    this.#features = features;
  }

  /** Stores a manifest; `onAccepted` as in {@link Manifests.store}. Error: `TAG_REFUSED`. */
  store(tx: Tx, put: ManifestPut, onAccepted: () => void): Result {
    const { policies, manifests, tags } = this.#features;
    policies.adopt(tx, put.policy);
    const refused =
      policies.refusePush(put.tags, put.digest) ??
      (put.precondition && refuseChange(put.precondition, this.#currentOf(put)));
    if (refused !== undefined) return refused;
    const stored = manifests.store(tx, put, onAccepted);
    if (stored.ok && policies.applied.version > 0) for (const tag of put.tags) tags.renewPush(tx, tag);
    return stored;
  }

  /** What the precondition of a push is about: what its tag points at, or the manifest. */
  #currentOf({ precondition, digest }: ManifestPut): Digest | undefined {
    const { manifests, tags } = this.#features;
    const tag = precondition?.tag;
    return tag === undefined ? manifests.stat(digest)?.digest : tags.read(tag)?.digest;
  }

  /** Deletes a manifest with its tags. Error: `MANIFEST_UNKNOWN`. */
  removeManifest(
    tx: Tx,
    digest: Digest,
    origin: Origin,
    sent: Sent,
    precondition?: Precondition,
  ): Result<{ tags: Tag[] }> {
    const { policies, manifests, deleted } = this.#features;
    policies.adopt(tx, sent);
    const current = manifests.stat(digest)?.digest;
    return (
      policies.refuseDeletion(digest) ??
      (current && refuseChange(precondition, current)) ??
      deleted.remove(tx, digest, origin)
    );
  }

  /** Deletes a tag. Error: `MANIFEST_UNKNOWN`. */
  removeTag(tx: Tx, tag: Tag, origin: Origin, sent: Sent, precondition?: Precondition): Result {
    const { policies, tags } = this.#features;
    policies.adopt(tx, sent);
    const current = tags.read(tag)?.digest;
    return (
      policies.refuseMove(tag, undefined) ??
      (current && refuseChange(precondition, current)) ??
      tags.remove(tx, tag, origin)
    );
  }

  /** Deletes the repository, by `end`. */
  removeAll<T extends object>(tx: Tx, sent: Sent, end: () => T): Result<T> {
    const { policies } = this.#features;
    policies.adopt(tx, sent);
    return policies.refuseEnd() ?? { ok: true, ...end() };
  }

  /** Points a tag at what it pointed at before. Errors as in {@link DeletedManifests.restoreTag}. */
  restoreTag(
    tx: Tx,
    tag: Tag,
    wanted: TagRestore,
    origin: Origin,
    sent: Sent,
  ): Result<{ digest: Digest; sequence: number }> {
    this.#features.policies.adopt(tx, sent);
    return this.#features.deleted.restoreTag(tx, tag, wanted, origin);
  }

  /** Restores a manifest. Errors as in {@link DeletedManifests.restore}. */
  restoreManifest(tx: Tx, digest: Digest, origin: Origin, sent: Sent): Result<{ tags: Tag[] }> {
    this.#features.policies.adopt(tx, sent);
    return this.#features.deleted.restore(tx, digest, origin);
  }

  /**
   * Points a tag at a manifest, or deletes it (`undefined`), whatever the policies say: an administrator has a reason.
   * Error: `MANIFEST_UNKNOWN`.
   */
  override(tx: Tx, tag: Tag, digest: Digest | undefined, reason: string, origin: Origin): Result {
    const { policies, manifests, tags } = this.#features;
    if (digest === undefined && tags.read(tag) === undefined) return failure("MANIFEST_UNKNOWN", { tag });
    if (digest !== undefined && !manifests.has(digest)) return failure("MANIFEST_UNKNOWN", { digest });
    tags.move(tx, tag, digest, origin, { reason });
    policies.forgetExpired(tx, tag);
    return { ok: true };
  }
}
