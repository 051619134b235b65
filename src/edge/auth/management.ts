/**
 * Who may use the management API. It takes passwords and generated tokens; bearer tokens, which speak of
 * repositories alone, open nothing here.
 */
import { failure } from "../../oci/errors.ts";
import type { Context, Refusal } from "../context.ts";
import { audit } from "./audit.ts";
import { basicChallenge } from "./challenge.ts";

/** What a route of the API is open to: administrators, also an account for what is its own, or every account. */
export type ManagementRight = "administrator" | "own account" | "account";

/** `undefined` if the caller may; else the refusal. */
export function managementRefusal(context: Context, right: ManagementRight): Refusal | undefined {
  const { access, params, registry, request, url } = context;
  if (access.credential === "none" || access.credential === "bearer") {
    return {
      failure: failure("UNAUTHORIZED"),
      headers: { "WWW-Authenticate": basicChallenge(registry.settings) },
    };
  }
  if (access.isAdministrator || right === "account") return undefined;
  if (right === "own account" && params.account === access.account) return undefined;
  audit(context, { action: `${request.method} ${url.pathname}`, target: url.pathname, outcome: "denied" });
  return { failure: failure("DENIED") };
}
