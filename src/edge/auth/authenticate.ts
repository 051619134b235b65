/**
 * From a request's `Authorization` to who asks. In steady state a bearer token costs no call and no cryptography.
 */

import { failure, type Result } from "../../oci/errors.ts";
import { type AccessEntry, grantsOfAccess, includesCatalog } from "../../oci/scope.ts";
import type { Settings } from "../../settings/settings.ts";
import { type Access, accessByGrants, anonymous, openToAll, scraper } from "./access.ts";
import { type Credentials, parseAuthorization, parseBasic } from "./basic.ts";
import type { Guard } from "./guard.ts";
import { networkName } from "./limits.ts";
import { logIn, logInByToken } from "./login.ts";
import { hashSecret, isGeneratedSecret, tokenPrefix } from "./passwords.ts";
import { isOutsider, outsiderName, type Principal, recall } from "./principal.ts";
import { type TokenClaims, verifyAccessToken } from "./tokens.ts";

/** Whether anybody can be let in at all. Error: `DENIED`, which says what to set. */
export function checkConfigured({ access, adminPassword, issuers }: Settings): Result {
  if (access === "open" || adminPassword !== undefined || issuers.length > 0) return { ok: true };
  return failure(
    "DENIED",
    "this registry has no credential configured, so it lets nobody in: set the secret ADMIN_PASSWORD",
  );
}

/** What is needed of a request to tell who asks. */
export type Authentication = {
  authorization: string | null;
  /** The network of the client's address, for limits; `undefined` where there is no address. */
  network: string | undefined;
  /** Whether the request goes on with an upload, which may take longer than a token lives. */
  isUpload: boolean;
  /** Whether the request reads the metrics, for which there is a token of its own. */
  isScrape: boolean;
};

/**
 * Decides who asks.
 *
 * Errors: `LOGIN_FAILED`, `TOKEN_INVALID`; `TOOMANYREQUESTS` after too many failed logins; `UNAVAILABLE` when an issuer's keys cannot be had.
 */
export async function authenticate(
  guard: Guard,
  request: Authentication,
): Promise<Result<{ access: Access }>> {
  const { settings } = guard.registry;
  if (settings.access === "open") return { ok: true, access: openToAll };
  const { authorization } = request;
  if (authorization === null) return { ok: true, access: anonymous };
  const known = guard.bearers.get(authorization);
  if (known !== undefined && known.until > guard.registry.clock.now())
    return { ok: true, access: known.access };
  const { scheme, value = "" } = parseAuthorization(authorization) ?? {};
  switch (scheme) {
    case "basic":
      return authenticateBasic(guard, value, request.network);
    case "bearer":
      if (request.isScrape && isScrapeToken(guard, value)) return { ok: true, access: scraper };
      return value.startsWith(tokenPrefix)
        ? byGeneratedToken(guard, value, request.network)
        : byBearer(guard, value, authorization, request.isUpload);
    default:
      return failure("LOGIN_FAILED", "the Authorization header must be Basic or Bearer");
  }
}

function isScrapeToken({ registry, passwords }: Guard, value: string): boolean {
  const { metricsToken } = registry.settings;
  return metricsToken !== undefined && passwords.isSame(value, metricsToken);
}

async function authenticateBasic(
  guard: Guard,
  value: string,
  network: string | undefined,
): Promise<Result<{ access: Access }>> {
  const credentials = parseBasic(value);
  if (credentials === undefined) return failure("LOGIN_FAILED", "the Basic credentials are malformed");
  const loggedIn = await logInByPassword(guard, credentials, network);
  return loggedIn.ok ? { ok: true, access: accessOf(loggedIn.principal, "password") } : loggedIn;
}

async function byGeneratedToken(
  guard: Guard,
  secret: string,
  network: string | undefined,
): Promise<Result<{ access: Access }>> {
  const loggedIn = await logInLimited(guard, subjectOfSecret(secret), network, () =>
    logInByToken(guard, secret),
  );
  return loggedIn.ok ? { ok: true, access: accessOf(loggedIn.principal, "password") } : loggedIn;
}

/**
 * Who a failed login with a secret alone is counted against: that secret. It is too long to be guessed, so that what
 * the limit stops is a client that repeats a wrong one; and others of the same address go on.
 */
function subjectOfSecret(secret: string): string {
  return `secret ${hashSecret(secret).slice(0, 32)}`;
}

/**
 * Logs in by a user name and a password, unless this address has failed too often with this name. Tokens cannot be
 * guessed: of generated ones, and of other issuers', it is the token that is counted. So wrong passwords for a name keep
 * nobody out who shows one.
 *
 * Errors: those of `logIn`, and `TOOMANYREQUESTS`.
 */
export function logInByPassword(
  guard: Guard,
  { name, password }: Credentials,
  network: string | undefined,
): Promise<Result<{ principal: Principal }>> {
  const isSecret = name === outsiderName || isGeneratedSecret(password);
  const subject = isSecret ? subjectOfSecret(password) : name;
  return logInLimited(guard, subject, network, () => logIn(guard, name, password, network));
}

/**
 * Logs in, unless this address has failed too often for this subject. By both together: nobody can lock an account
 * out from elsewhere.
 */
async function logInLimited(
  guard: Guard,
  subject: string,
  network: string | undefined,
  attempt: () => Promise<Result<{ principal: Principal }>>,
): Promise<Result<{ principal: Principal }>> {
  const key = `${networkName(network)} ${subject.slice(0, 100)}`;
  if (guard.loginFailures.isReached(key)) return failure("TOOMANYREQUESTS");
  const loggedIn = await attempt();
  if (loggedIn.ok || loggedIn.error !== "LOGIN_FAILED") return loggedIn;
  return (await guard.loginFailures.count(key)) ? failure("TOOMANYREQUESTS") : loggedIn;
}

function accessOf(principal: Principal, credential: "password" | "bearer"): Access {
  return {
    ...accessByGrants(principal.account, credential, principal.grantSets),
    tokenId: principal.tokenId,
  };
}

/** `header` is what the token came in, under which it is remembered. */
async function byBearer(
  guard: Guard,
  token: string,
  header: string,
  isUpload: boolean,
): Promise<Result<{ access: Access }>> {
  const issuer = guard.outsiders.issuerOf(token);
  if (issuer !== undefined) {
    const verified = await guard.outsiders.verify(issuer, token);
    // An outsider's token that does not speak of access itself has to be exchanged at /token.
    if (!verified.ok || verified.outsider.access === undefined)
      return verified.ok ? failure("TOKEN_INVALID") : verified;
    const { principal, access } = verified.outsider;
    // Their issuer may take the key back, before a token ends that may last for years.
    const { clock, settings } = guard.registry;
    const until = Math.min(principal.endsAtMs ?? 0, clock.now() + settings.tokenTtlMs);
    return remember(guard, header, bearerAccess(accessOf(principal, "bearer"), access), until);
  }
  const verified = await verifyAccessToken(guard.registry, guard.keys, token);
  if (!verified.ok) return verified;
  const { claims } = verified;
  if (claims.isExpired) return isUpload ? continueUpload(guard, claims) : failure("TOKEN_INVALID");
  return remember(guard, header, accessOfClaims(claims), claims.expiresAtMs);
}

/** What keeping somebody's access takes, apart from the header, in bytes. */
const keptBytes = 1024;

function remember(guard: Guard, header: string, access: Access, until: number): Result<{ access: Access }> {
  guard.bearers.set(header, { access, until, bytes: keptBytes + 4 * header.length });
  return { ok: true, access };
}

/**
 * A push that outlives its token goes on, within `UPLOAD_TTL`, if the credentials that the token was issued for are
 * still good, and their account still may do what the token says.
 */
async function continueUpload(guard: Guard, claims: TokenClaims): Promise<Result<{ access: Access }>> {
  const { registry } = guard;
  if (registry.clock.now() > claims.expiresAtMs + registry.settings.uploadTtlMs)
    return failure("TOKEN_INVALID");
  const granted = accessOfClaims(claims);
  // An outsider's account is not ours to ask about; the token was ours, and is taken for the upload it began.
  const recalled: Result<{ principal: Principal }> = isOutsider(claims.account)
    ? { ok: true, principal: guard.outsiders.recall(claims.account) }
    : await recall(registry, claims.account, claims.tokenId, claims.version);
  if (!recalled.ok) return recalled;
  const today = accessOf(recalled.principal, "bearer");
  const may: Access["may"] = (verb, repository) =>
    granted.may(verb, repository) && today.may(verb, repository);
  return { ok: true, access: { ...granted, may } };
}

function accessOfClaims(claims: TokenClaims): Access {
  const account = claims.account === "" ? "anonymous" : claims.account;
  return {
    ...bearerAccess(accessByGrants(account, "bearer", [grantsOfAccess(claims.access)]), claims.access),
    tokenId: claims.tokenId,
    version: claims.version,
  };
}

/** A token only ever speaks of repositories, never of accounts. */
function bearerAccess(access: Access, entries: AccessEntry[]): Access {
  const denied = new Map(entries.map((entry) => [entry.name, entry.denied ?? []]));
  const isFinal: Access["isFinal"] = (verb, repository) => denied.get(repository)?.includes(verb) ?? false;
  return { ...access, isAdministrator: false, mayList: includesCatalog(entries), isFinal };
}
