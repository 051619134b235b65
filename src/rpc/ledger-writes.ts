/**
 * What pushes ask of a ledger. These writes found it if it does not exist, but only if its name was registered in the
 * index of names for this write (founding.ts).
 */
import type { Failure, Rejection, Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { ManifestFacts } from "../oci/manifest-fields.ts";
import type { Precondition } from "../oci/preconditions.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { AppliedPolicy } from "../policy/document.ts";
import type { Adoption } from "./blob-shard-api.ts";

/**
 * A write that may found a ledger. `registration`: the number under which the name was registered for this write.
 * `null`: it was not, so the ledger must exist. A Worker of an earlier release does not send it.
 */
export type FoundingWrite = { repository: RepositoryName; origin: Origin; registration: number | null };

/**
 * A request to link an adopted blob. `session` is the upload session that it closes; `from` the repository that the
 * blob is mounted from; `born` which repository a blob was fetched for, so that it is linked in no later one.
 */
export type LinkRequest = FoundingWrite & {
  adoption: Adoption;
  session?: string;
  from?: RepositoryName;
  born?: number;
};

/**
 * The outcome of linking. `lease-ended`: adopt again, then link again. `unfounded`: there is no ledger; register the
 * name, then link again. `changed`: the repository is another one. `read-only`: it is a cache. `full`: the ledger takes
 * nothing more.
 */
export type LinkOutcome =
  | "linked"
  | "lease-ended"
  | "session-closed"
  | "unfounded"
  | "changed"
  | "read-only"
  | "full";

/** A manifest to store. */
export type NewManifest = Omit<FoundingWrite, "registration"> & {
  digest: Digest;
  bytes: Uint8Array;
  facts: ManifestFacts;
  tags: Tag[];
  /** Whether missing references are accepted. */
  sparse: boolean;
  /** What the policies say of the repository, where there are any. */
  policy?: AppliedPolicy | undefined;
  /** Whether it came from an upstream. */
  isFetched?: true;
  /** What is demanded of what `tag` points at, or, without one, of the manifest itself. */
  precondition?: (Precondition & { tag: Tag | undefined }) | undefined;
};

/** A request to store a manifest. */
export type ManifestPut = NewManifest & FoundingWrite;

/** The outcome of storing a manifest. `unfounded`: there is no ledger; register the name, then store it again. */
export type PutOutcome = Result<object, Failure | Rejection<"unfounded">>;
