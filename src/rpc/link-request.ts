/** Plain data about linking a blob that was adopted, as it crosses RPC. */
import type { Origin } from "../oci/event.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Adoption } from "./blob-shard-api.ts";

/**
 * A request to link an adopted blob. `session` is the upload session that it closes; `from` the repository that the
 * blob is mounted from; `born` which repository a blob was fetched for, so that it is linked in no later one.
 */
export type LinkRequest = {
  repository: RepositoryName;
  adoption: Adoption;
  origin: Origin;
  session?: string;
  from?: RepositoryName;
  born?: number;
};

/** The outcome of linking. `lease-ended`: adopt again, then link again. `changed`: the repository is another one. `read-only`: it is a cache. */
export type LinkOutcome = "linked" | "lease-ended" | "session-closed" | "changed" | "read-only";
