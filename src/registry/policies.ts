/** What the policies say of a repository. */
import { failure, type Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import { type AppliedPolicy, noPolicy, policyFor } from "../policy/document.ts";
import { refusedName } from "../policy/enforcement.ts";
import type { Registry } from "./registry.ts";

/** What holds for a repository, as it is now. */
export async function policyOf({ policies }: Registry, repository: RepositoryName): Promise<AppliedPolicy> {
  const document = await policies.current();
  if (document === undefined) return { version: 0, policy: noPolicy };
  return { version: document.version, policy: policyFor(document.rules, repository) };
}

/**
 * Refuses the first step of a push if it would found a repository whose name no policy allows. The ledger is asked only
 * then. Error: `NAME_REFUSED`.
 */
export async function checkName(registry: Registry, repository: RepositoryName): Promise<Result> {
  const policy = (await registry.policies.of(repository))?.policy;
  const refused = policy && refusedName(policy, repository);
  if (refused === undefined) return { ok: true };
  const exists = (await registry.ledger(repository).info()) !== undefined;
  return exists ? { ok: true } : failure("NAME_REFUSED", { repository, ...refused });
}
