/**
 * Challenges: how a client that is not let in learns where to get a token, and for what.
 *
 * Source: Docker Registry v2 authentication, "How to authenticate"; RFC 6750, section 3.
 */

import { type AccessEntry, formatScope } from "../../oci/scope.ts";
import type { Settings } from "../../settings/settings.ts";
import { originOf } from "./origins.ts";

/** The `WWW-Authenticate` of a route that takes bearer tokens. */
export function bearerChallenge(
  settings: Settings,
  url: URL,
  headers: Headers,
  scopes: AccessEntry[],
  error?: "invalid_token" | "insufficient_scope",
): string {
  const realm = settings.authRealm ?? `${originOf(settings, url, headers)}/token`;
  const parts = [`realm="${realm}"`, `service="${settings.service}"`];
  if (scopes.length > 0) parts.push(`scope="${scopes.map(formatScope).join(" ")}"`);
  if (error !== undefined) parts.push(`error="${error}"`);
  return `Bearer ${parts.join(",")}`;
}

/** The `WWW-Authenticate` of a route that takes passwords and generated tokens alone. */
export function basicChallenge(settings: Settings): string {
  return `Basic realm="${settings.service}", charset="UTF-8"`;
}
