/**
 * Who asks, and what they may.
 */
import { everything, findGrant, type Grant, isAdministrator, type Verb } from "../../oci/grant.ts";
import type { RepositoryName } from "../../oci/name.ts";

/** How the caller showed who they are. */
export type Credential = "none" | "open" | "password" | "bearer";

/** What the one who asks may do. Whether a repository is public is another matter. */
export type Access = {
  /** Who asks, as it is written into histories and audit, and signed into upload sessions. */
  account: string;
  credential: Credential;
  /** The generated token that this goes back to, if it does. */
  tokenId?: string | undefined;
  may(verb: Verb, repository: RepositoryName): boolean;
  /** Whether the caller may manage accounts. */
  isAdministrator: boolean;
  /** Whether a bearer token was asked for with this repository in mind; true for every other credential. */
  isAbout(repository: RepositoryName): boolean;
};

/** Access by grants: every set must allow what is done. */
export function accessByGrants(account: string, credential: Credential, grantSets: Grant[][]): Access {
  return {
    account,
    credential,
    may: (verb, repository) => grantSets.every((grants) => findGrant(grants, verb, repository) !== undefined),
    isAdministrator: grantSets.every(isAdministrator),
    isAbout: () => true,
  };
}

/** Nobody in particular. */
export const anonymous: Access = {
  account: "anonymous",
  credential: "none",
  may: () => false,
  isAdministrator: false,
  isAbout: () => true,
};

/** Everybody, where the registry is open. */
export const openToAll: Access = accessByGrants("anonymous", "open", [everything]);
