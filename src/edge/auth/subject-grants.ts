/**
 * What a list of repositories shows. A bearer token for it says that its holder may list, and leaves it to the registry
 * which: those that its account may pull.
 */
import type { RepositoryName } from "../../oci/name.ts";
import type { Context } from "../context.ts";
import { accessByGrants } from "./access.ts";
import { isAnonymous } from "./authorise.ts";
import { guardOf } from "./guard.ts";
import { isOutsider, recall } from "./principal.ts";

/** How long an account's grants are kept for lists, in milliseconds. */
const grantsTtlMs = 60_000;

/**
 * Whether the caller's account may pull a repository, as its grants of the last minute say. For lists alone: whatever
 * is done with one repository, the token itself must allow. Tokens of other issuers have no account here, and tokens
 * that an account had before a change of its password are not its own any more: of these, too, only what they say
 * themselves counts.
 */
export async function pullGrants(context: Context): Promise<(repository: RepositoryName) => boolean> {
  const { access, registry } = context;
  const own = (repository: RepositoryName) => access.may("pull", repository);
  if (access.credential !== "bearer" || isAnonymous(access) || isOutsider(access.account)) return own;
  const { subjects } = guardOf(registry);
  const now = registry.clock.now();
  const key = `${access.account} ${access.tokenId ?? ""} ${access.version ?? ""}`;
  const known = subjects.get(key);
  if (known !== undefined && known.until > now) return (repository) => known.access.may("pull", repository);
  const recalled = await recall(registry, access.account, access.tokenId, access.version);
  if (!recalled.ok) return own;
  const full = accessByGrants(access.account, "bearer", recalled.principal.grantSets);
  const bytes = 1024 + 4 * JSON.stringify(recalled.principal.grantSets).length;
  subjects.set(key, { access: full, until: now + grantsTtlMs, bytes });
  return (repository) => full.may("pull", repository);
}
