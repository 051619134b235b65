/**
 * Who may use the management API. It takes passwords and generated tokens; bearer tokens, which speak of
 * repositories alone, open nothing here.
 */
import { failure } from "../../oci/errors.ts";
import type { Context, ManagementRight, Refusal } from "../context.ts";
import { audit } from "./audit.ts";
import { basicChallenge } from "./authorise.ts";

/** `undefined` if the caller may use a route, which is called so; else the refusal. */
export function managementRefusal(
  context: Context,
  route: string,
  right: ManagementRight,
): Refusal | undefined {
  const { access, registry, request, params } = context;
  if (right === "scraper" && access.credential === "scraper") return undefined;
  if (access.credential === "none" || access.credential === "bearer") {
    return {
      failure: failure("UNAUTHORIZED"),
      headers: { "WWW-Authenticate": basicChallenge(registry.settings) },
    };
  }
  if (access.isAdministrator || right === "account" || isOwn(context, right)) return undefined;
  const target = Object.values(params).join("/") || "*";
  audit(context, { action: `${request.method} ${route}`, target, outcome: "denied" });
  return { failure: failure("DENIED") };
}

function isOwn({ access, params }: Context, right: ManagementRight): boolean {
  if (right === "administrator" || right === "scraper" || params.account !== access.account) return false;
  return access.tokenId === undefined || (right === "own token" && params.token === access.tokenId);
}
