/** What the policies say of a repository. */
import { failure, type Result } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/reference.ts";
import { type AppliedPolicy, noPolicy, policyFor, type Rules } from "../policy/document.ts";
import { refusedName } from "../policy/enforcement.ts";
import type { Trial } from "../rpc/policies-api.ts";
import type { Registry } from "./registry.ts";
import { mapAtOnce } from "./walk.ts";

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

/** How many repositories a page of a trial has at most. */
const triedAtOnce = 50;

/** How many tags of each repository are listed at most. */
const tagsTried = 1000;

/** What becomes of a repository. */
type Tried = { name: RepositoryName; trial: Trial };

/**
 * What rules would do now, or those that hold (`undefined`), to one repository, or to the next page of all from which
 * they remove tags. `last`: where the next page begins. Error: `NAME_UNKNOWN`.
 */
export async function tryPolicies(
  registry: Registry,
  rules: Rules | undefined,
  repository: RepositoryName | undefined,
  after: string,
): Promise<Result<{ trials: Tried[]; last?: string }>> {
  const tried = rules ?? (await registry.policies.current())?.rules ?? [];
  const tryOn = async (name: RepositoryName) => {
    const policy = { version: 0, policy: policyFor(tried, name) };
    return { name, result: await registry.ledger(name).tryPolicy(policy, tagsTried) };
  };
  if (repository !== undefined) {
    const { name, result } = await tryOn(repository);
    return result.ok ? { ok: true, trials: [{ name, trial: result.trial }] } : result;
  }
  const page = await registry.catalog().listRepositories("", after, triedAtOnce);
  const names = page.entries
    .map(({ name }) => name)
    .filter((name) => policyFor(tried, name).remove !== undefined);
  const results = await mapAtOnce(names, tryOn);
  // One that is deleted meanwhile is left out.
  const trials = results.flatMap(({ name, result }) => (result.ok ? [{ name, trial: result.trial }] : []));
  const last = page.entries.at(-1)?.name;
  return { ok: true, trials, ...(page.more && last !== undefined ? { last } : {}) };
}
