/**
 * Authorises calls of the management API. It accepts passwords and generated tokens. Bearer tokens grant access to
 * repositories only, so they are refused here.
 */
import { failure } from "../../oci/errors.ts";
import type { Verb } from "../../oci/grant.ts";
import { parseRepositoryName } from "../../oci/reference.ts";
import { canonicalName } from "../../oci/upstream.ts";
import type { Settings } from "../../settings/settings.ts";
import type { Context, HeaderMap, Refusal } from "../context.ts";
import type { ManagementEndpoint } from "../route.ts";
import { audit } from "./audit.ts";
import { basicChallenge, hasTooManyMisses, mayEverybodyPull, refusalFor } from "./authorise.ts";

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
  if (rule === "everybody") return undefined;
  if (
    access.credential === "bearer" ||
    (access.credential === "none" && !(await isOfPublic(context, rule)))
  ) {
    return { ...failure("UNAUTHORIZED"), headers: managementChallenge(registry.settings, request) };
  }
  if (typeof rule === "object") return repositoryRefusal(context, rule);
  if (access.isAdministrator || rule === "any account" || isOwn(context, rule)) return undefined;
  const target = Object.values(params).join("/") || "*";
  audit(context, { action: `${request.method} ${route}`, target, outcome: "denied" });
  return failure("DENIED");
}

/** Whether the rule is about pulling from a repository that is public, and that is enough for it. */
async function isOfPublic(context: Context, rule: ManagementEndpoint["access"]): Promise<boolean> {
  if (typeof rule !== "object" || rule.repository !== "pull" || rule.byGrant === true) return false;
  if (hasTooManyMisses(context)) return false;
  const repository = parseRepositoryName(context.params.name ?? "");
  return repository !== undefined && (await mayEverybodyPull(context, repository));
}

/** The challenge for a page that signs somebody in. */
export function sessionChallenge(settings: Settings): string {
  return `Session realm="${settings.service}"`;
}

/**
 * The challenge of a route that accepts passwords and generated tokens. Pages of this registry get one of a scheme that
 * browsers do not know: for `Basic` they would ask for a password by a dialog of their own.
 */
export function managementChallenge(settings: Settings, { headers }: Request): HeaderMap {
  const isOfPage = headers.has("Cookie") || headers.has("X-Requested-With");
  return { "WWW-Authenticate": isOfPage ? sessionChallenge(settings) : basicChallenge(settings) };
}

async function repositoryRefusal(
  context: Context,
  { repository: verb, byGrant }: { repository: Verb; byGrant?: true },
): Promise<Refusal | undefined> {
  const { name = "" } = context.params;
  const parsed = parseRepositoryName(name);
  if (parsed === undefined) return failure("NAME_INVALID", { name });
  const repository = canonicalName(context.registry.settings.upstreams, parsed);
  // The operation is about the canonical name, too.
  context.params.name = repository;
  return refusalFor(context, repository, verb, byGrant);
}

function isOwn(
  { access, params }: Context,
  rule: "administrator" | "scraper" | "own account" | "own token",
): boolean {
  if (rule === "administrator" || rule === "scraper" || params.account !== access.account) return false;
  return access.tokenId === undefined || (rule === "own token" && params.token === access.tokenId);
}
