/**
 * What the caller may pull besides what the bearer token at hand was asked for: a token names a repository or two,
 * while a mount may come from any repository that its account may pull, and a list names them all.
 */
import type { RepositoryName } from "../../oci/name.ts";
import type { Context } from "../context.ts";
import { accessByGrants } from "./access.ts";
import { isAnonymous, mayEverybodyPull } from "./authorise.ts";
import { guardOf } from "./guard.ts";
import { isOutsider, recall } from "./principal.ts";

/** How long an account's grants are kept for this, in milliseconds. */
const grantsTtlMs = 60_000;

/**
 * Whether the caller's account may pull a repository, as its grants of the last minute say. Tokens of other issuers
 * have no account here, and only what they say themselves counts.
 */
export async function pullGrants(context: Context): Promise<(repository: RepositoryName) => boolean> {
  const { access, registry } = context;
  const own = (repository: RepositoryName) => access.may("pull", repository);
  if (access.credential !== "bearer" || isAnonymous(access) || isOutsider(access.account)) return own;
  const { subjects } = guardOf(registry);
  const now = registry.clock.now();
  const key = `${access.account} ${access.tokenId ?? ""}`;
  const known = subjects.get(key);
  if (known !== undefined && known.until > now) return (repository) => known.access.may("pull", repository);
  const recalled = await recall(registry, access.account, access.tokenId, undefined);
  if (!recalled.ok) return own;
  const full = accessByGrants(access.account, "bearer", recalled.principal.grantSets);
  const bytes = 1024 + 4 * JSON.stringify(recalled.principal.grantSets).length;
  subjects.set(key, { access: full, until: now + grantsTtlMs, bytes });
  return (repository) => full.may("pull", repository);
}

/** Whether the caller may read a blob from a repository in order to mount it elsewhere. */
export async function mayPullFrom(context: Context, source: RepositoryName): Promise<boolean> {
  if (context.access.may("pull", source)) return true;
  const mayPull = await pullGrants(context);
  return mayPull(source) || (await mayEverybodyPull(context, source));
}
