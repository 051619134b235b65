/** What the Worker's variables are on one machine, where they differ from a deployment's. */
import type { VariableName } from "../env.ts";

/** Variables by name. */
export type Variables = Partial<Record<VariableName, string>>;

/**
 * The variables given, and those that follow from them: without any credential the registry is open to everybody; and
 * as no proxy of a platform stands in front, no header is believed about the client's address.
 */
export function localVariables(given: Variables): Variables {
  const hasCredential = Boolean(given.ADMIN_PASSWORD) || (given.TOKEN_ISSUERS ?? "[]") !== "[]";
  return {
    ACCESS: hasCredential ? "closed" : "open",
    ADDRESS_HEADER: "",
    METRICS_SCOPE: "process",
    ...given,
  };
}
