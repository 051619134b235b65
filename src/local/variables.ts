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
