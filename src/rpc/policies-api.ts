/** The calls of a ledger that policies may refuse, and those of the catalog about the policies. */
import type { Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Digest, Tag } from "../oci/reference.ts";
import type { AppliedPolicy, Rules, StoredPolicies } from "../policy/document.ts";

/** Deletions, each with what the policies say of the repository, where there are any. Error: `TAG_IMMUTABLE`. */
export interface Policed {
  deleteManifest(
    digest: Digest,
    origin: Origin,
    policy: AppliedPolicy | undefined,
  ): Promise<Result<{ tags: string[] }>>;
  deleteTag(tag: Tag, origin: Origin, policy: AppliedPolicy | undefined): Promise<Result>;
  /**
   * Deletes the repository with all its contents, which can be restored for a while. The next push founds another one.
   */
  deleteRepository(origin: Origin, policy: AppliedPolicy | undefined): Promise<Result>;
  /** Points a tag at a manifest, or deletes it (`undefined`), even if the policies keep it as it is. */
  overrideTag(tag: Tag, digest: Digest | undefined, reason: string, origin: Origin): Promise<Result>;
}

/** The policy document, in the catalog. */
export interface PolicyStore {
  /** The document; `undefined` if there never was one. */
  policies(): Promise<StoredPolicies | undefined>;
  /**
   * Replaces the document. `expected`: the version that is replaced, 0 for none. Error: `POLICIES_CHANGED` if it is
   * another one.
   */
  putPolicies(
    rules: Rules,
    expected: number | undefined,
    actor: string,
  ): Promise<Result<{ policies: StoredPolicies }>>;
}
