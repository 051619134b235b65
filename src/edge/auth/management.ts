/**
 * Authorises calls of the management API. It accepts passwords and generated tokens. Bearer tokens grant access to
 * repositories only, so they are refused here.
 */
import { failure } from "../../oci/errors.ts";
import type { Verb } from "../../oci/grant.ts";
import { parseRepositoryName } from "../../oci/reference.ts";
import { canonicalName } from "../../oci/upstream.ts";
import type { Context, Refusal } from "../context.ts";
import type { ManagementEndpoint } from "../route.ts";
import { audit } from "./audit.ts";
import { basicChallenge, refusalFor } from "./authorise.ts";

/**
 * `undefined` if the caller satisfies the rule; otherwise the refusal. `route` is the route's name, for the audit log.
 */
export async function managementRefusal(
  context: Context,
  route: string,
  rule: ManagementEndpoint["access"],
): Promise<Refusal | undefined> {
  const { access, registry, request, params } = context;
  if (rule === "scraper" && access.credential === "scraper") return undefined;
  if (access.credential === "none" || access.credential === "bearer") {
    return { ...failure("UNAUTHORIZED"), headers: { "WWW-Authenticate": basicChallenge(registry.settings) } };
  }
  if (typeof rule === "object") return repositoryRefusal(context, rule.repository);
  if (access.isAdministrator || rule === "any account" || isOwn(context, rule)) return undefined;
  const target = Object.values(params).join("/") || "*";
  audit(context, { action: `${request.method} ${route}`, target, outcome: "denied" });
  return failure("DENIED");
}

async function repositoryRefusal(context: Context, verb: Verb): Promise<Refusal | undefined> {
  const { name = "" } = context.params;
  const parsed = parseRepositoryName(name);
  if (parsed === undefined) return failure("NAME_INVALID", { name });
  const repository = canonicalName(context.registry.settings.upstreams, parsed);
  // The operation is about the canonical name, too.
  context.params.name = repository;
  return refusalFor(context, repository, verb);
}

function isOwn(
  { access, params }: Context,
  rule: "administrator" | "scraper" | "own account" | "own token",
): boolean {
  if (rule === "administrator" || rule === "scraper" || params.account !== access.account) return false;
  return access.tokenId === undefined || (rule === "own token" && params.token === access.tokenId);
}
