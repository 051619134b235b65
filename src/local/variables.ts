/** The Worker's variables on one machine, where they differ from those of a deployment. */
import type { Variables } from "../settings/settings.ts";
import { addressHeader } from "./proxy/request-head.ts";

/**
 * The variables given, and those that follow from them: without any credential the registry is open to everybody; and
 * the client's address is what the reverse proxy says, as no proxy of a platform stands in front.
 */
export function localVariables(given: Variables): Variables {
  const hasCredential = Boolean(given.ADMIN_PASSWORD) || (given.TOKEN_ISSUERS ?? "[]") !== "[]";
  return {
    ACCESS: hasCredential ? "closed" : "open",
    ADDRESS_HEADER: addressHeader,
    METRICS_SCOPE: "process",
    ...given,
  };
}

/** Whether a variable has a part of the credential for an upstream. */
export function isUpstreamCredential(name: string): boolean {
  return /^UPSTREAM_[A-Z0-9_]+_(?:USERNAME|PASSWORD)$/.test(name);
}

/**
 * The credentials for upstreams in an environment, as the one variable that the Worker reads them from. Without any there
 * is no variable.
 */
export function upstreamCredentials(environment: NodeJS.ProcessEnv): Variables {
  const given = Object.entries(environment).filter(([name, value]) => isUpstreamCredential(name) && value);
  return given.length === 0 ? {} : { UPSTREAM_CREDENTIALS: JSON.stringify(Object.fromEntries(given)) };
}
