/**
 * Who asks, and what they may.
 */
import { everything, findGrant, type Grant, isAdministrator, type Verb } from "../../oci/grant.ts";
import type { RepositoryName } from "../../oci/name.ts";

/** How the caller showed who they are. */
export type Credential = "none" | "open" | "password" | "bearer" | "scraper";

/** What the one who asks may do. Whether a repository is public is another matter. */
export type Access = {
  /** Who asks, as it is written into histories and audit, and signed into upload sessions. */
  account: string;
  credential: Credential;
  /** The generated token that this goes back to, if it does. */
  tokenId?: string | undefined;
  /** The version of the credentials that a bearer token was issued for; one of an earlier release has none. */
  version?: string | undefined;
  may(verb: Verb, repository: RepositoryName): boolean;
  /** Whether the caller may manage accounts. */
  isAdministrator: boolean;
  /** Whether the caller may list repositories; of which the list then shows those that they may pull. */
  mayList: boolean;
  /**
   * Whether the answer to what {@link may} refuses is final. A bearer token may only have been asked for with
   * something else in mind; its holder can get another.
   */
  isFinal(verb: Verb, repository: RepositoryName): boolean;
};

/**
 * Whom a route of the API is open to: administrators, always; also an account for what is its own, a generated token
 * for itself alone, or every account; the metrics also to who has the token for them. A generated token is given away
 * for less than all that its account may, so it does not speak for the account here.
 */
export type ManagementRight = "administrator" | "scraper" | "own account" | "own token" | "account";

/** Access by grants: every set must allow what is done. */
export function accessByGrants(account: string, credential: Credential, grantSets: Grant[][]): Access {
  return {
    account,
    credential,
    may: (verb, repository) => grantSets.every((grants) => findGrant(grants, verb, repository) !== undefined),
    isAdministrator: grantSets.every(isAdministrator),
    mayList: true,
    isFinal: () => true,
  };
}

/** Nobody in particular. */
export const anonymous: Access = {
  account: "anonymous",
  credential: "none",
  may: () => false,
  isAdministrator: false,
  mayList: false,
  isFinal: () => true,
};

/** What reads the metrics, and nothing else. */
export const scraper: Access = { ...anonymous, account: "metrics", credential: "scraper" };

/** Everybody, where the registry is open. */
export const openToAll: Access = accessByGrants("anonymous", "open", [everything]);
