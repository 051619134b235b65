/**
 * Who asks, and what they may.
 */
import type { Settings } from "../../env.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { RepositoryName } from "../../oci/name.ts";

/** What can be done with a repository. */
export type Verb = "pull" | "push" | "delete";

/** What the one who asks may do. */
export type Access = {
  /** Who asks, as it is written into histories and signed into upload sessions. */
  account: string;
  may(verb: Verb, repository: RepositoryName): boolean;
};

const everything: Access = { account: "anonymous", may: () => true };

/** Decides who asks. Error: `DENIED` while nobody is let in. */
export function authenticate(settings: Settings): Result<{ access: Access }> {
  if (settings.access === "open") return { ok: true, access: everything };
  return failure(
    "DENIED",
    "this registry has no credential configured, so it lets nobody in: set the secret ADMIN_PASSWORD",
  );
}
