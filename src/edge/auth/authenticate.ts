/**
 * Authenticates the caller by the `Authorization` header. In steady state a bearer token costs no call and no
 * cryptography.
 */
import { networkOf } from "../../oci/address.ts";
import { failure, type Result } from "../../oci/errors.ts";
import { parseRepositoryName } from "../../oci/reference.ts";
import { type AccessEntry, grantsOfAccess, includesCatalog } from "../../oci/scope.ts";
import { ExpiringLru } from "../../registry/caches.ts";
import { registeredMs } from "../../registry/ledgers.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Settings } from "../../settings/settings.ts";
import type { Access } from "../context.ts";
import { accessByGrants, anonymous, type CachedAccess, openToAll, scraper } from "./authorise.ts";
import { FederatedIdentities } from "./federated.ts";
import { FailureLimit, networkName } from "./limits.ts";
import { type LoginCache, logIn, logInByToken } from "./login.ts";
import { LoginThrottle } from "./login-throttle.ts";
import { hashSecret, isGeneratedSecret, PasswordChecker, tokenPrefix } from "./passwords.ts";
import { federatedUser, isFederated, type Principal, reload } from "./principal.ts";
import { KeyRing, type TokenClaims, verifyAccessToken } from "./tokens.ts";

/** What authentication keeps in the memory of an isolate. */
export type AuthCache = LoginCache & {
  keys: KeyRing;
  /** The access that verified bearer tokens grant, by their `Authorization` header. */
  bearers: ExpiringLru<CachedAccess>;
  loginFailures: FailureLimit;
};

const caches = new WeakMap<Registry, AuthCache>();

/** The authentication cache of this registry. */
export function authCacheOf(registry: Registry): AuthCache {
  const known = caches.get(registry);
  if (known !== undefined) return known;
  const cache: AuthCache = {
    registry,
    keys: new KeyRing(registry),
    federated: new FederatedIdentities(registry),
    passwords: new PasswordChecker(registry.clock),
    throttle: new LoginThrottle(registry),
    bearers: new ExpiringLru(registry.clock, 4 * 1024 * 1024, ({ bytes }) => bytes),
    loginFailures: new FailureLimit(registry.rateLimits, "LOGIN_FAILURES", registry.clock),
  };
  caches.set(registry, cache);
  return cache;
}

/** Checks that the registry has a credential configured. Error: `DENIED`, with the variable to set. */
export function checkConfigured({ access, adminPassword, issuers }: Settings): Result {
  if (access === "open" || adminPassword !== undefined || issuers.length > 0) return { ok: true };
  return failure(
    "DENIED",
    "this registry has no credential configured, so it lets nobody in: set the secret ADMIN_PASSWORD",
  );
}

/** The parts of a request that authentication needs. */
export type Authentication = {
  authorization: string | null;
  /** The client's address, for limits. */
  address: string;
  /** Whether the request continues an upload, which may outlast its token. */
  isUpload: boolean;
  /** Whether the request reads the metrics, for which there is a token of its own. */
  isScrape: boolean;
};

/**
 * Authenticates a request.
 *
 * Errors: `LOGIN_FAILED`, `TOKEN_INVALID`; `TOOMANYREQUESTS` after too many failed logins; `UNAVAILABLE` if the keys of
 * an issuer cannot be fetched.
 */
export async function authenticate(
  cache: AuthCache,
  request: Authentication,
): Promise<Result<{ access: Access }>> {
  const { settings } = cache.registry;
  if (settings.access === "open") return { ok: true, access: openToAll };
  const { authorization } = request;
  if (authorization === null) return { ok: true, access: anonymous };
  const known = cache.bearers.get(authorization);
  if (known !== undefined) return { ok: true, access: known.access };
  const { scheme, value = "" } = parseAuthorization(authorization) ?? {};
  switch (scheme) {
    case "basic":
      return authenticateBasic(cache, value, request.address);
    case "bearer":
      if (request.isScrape && isScrapeToken(cache, value)) return { ok: true, access: scraper };
      return value.startsWith(tokenPrefix)
        ? byGeneratedToken(cache, value, request.address)
        : byBearer(cache, value, authorization, request.isUpload);
    default:
      return failure("LOGIN_FAILED", "the Authorization header must be Basic or Bearer");
  }
}

function isScrapeToken({ registry, passwords }: AuthCache, value: string): boolean {
  const { metricsToken } = registry.settings;
  return metricsToken !== undefined && passwords.isSame(value, metricsToken);
}

async function authenticateBasic(
  cache: AuthCache,
  value: string,
  address: string,
): Promise<Result<{ access: Access }>> {
  const credentials = parseBasic(value);
  if (credentials === undefined) return failure("LOGIN_FAILED", "the Basic credentials are malformed");
  const loggedIn = await logInByPassword(cache, credentials, address);
  return loggedIn.ok ? { ok: true, access: accessOf(loggedIn.principal, "password") } : loggedIn;
}

async function byGeneratedToken(
  cache: AuthCache,
  secret: string,
  address: string,
): Promise<Result<{ access: Access }>> {
  const loggedIn = await logInLimited(cache, subjectOfSecret(secret), address, () =>
    logInByToken(cache, secret),
  );
  return loggedIn.ok ? { ok: true, access: accessOf(loggedIn.principal, "password") } : loggedIn;
}

/**
 * The subject that failed logins with a secret are counted by: the secret itself. A secret is too long to be guessed,
 * so the limit only stops clients that repeat a wrong one. Others at the same address are not affected.
 */
function subjectOfSecret(secret: string): string {
  return `secret ${hashSecret(secret).slice(0, 32)}`;
}

/**
 * Logs in by a user name and a password, unless this address has failed too often with this name. Failures of generated
 * and federated tokens, which cannot be guessed, are counted by the token. So a caller with a valid token gets in even
 * after many wrong passwords for its name.
 *
 * Errors: those of `logIn`, and `TOOMANYREQUESTS`.
 */
export function logInByPassword(
  cache: AuthCache,
  { name, password }: Credentials,
  address: string,
): Promise<Result<{ principal: Principal }>> {
  const isSecret = name === federatedUser || isGeneratedSecret(password);
  const subject = isSecret ? subjectOfSecret(password) : name;
  return logInLimited(cache, subject, address, () => logIn(cache, name, password, networkOf(address)));
}

/**
 * Logs in, unless this address has failed too often for this subject. Failures are counted by both together, so that
 * nobody can lock an account out from another address.
 */
async function logInLimited(
  cache: AuthCache,
  subject: string,
  address: string,
  attempt: () => Promise<Result<{ principal: Principal }>>,
): Promise<Result<{ principal: Principal }>> {
  const key = `${networkName(address)} ${subject.slice(0, 100)}`;
  if (cache.loginFailures.isReached(key)) return failure("TOOMANYREQUESTS");
  const loggedIn = await attempt();
  if (loggedIn.ok || loggedIn.error !== "LOGIN_FAILED") return loggedIn;
  return (await cache.loginFailures.count(key)) ? failure("TOOMANYREQUESTS") : loggedIn;
}

function accessOf(principal: Principal, credential: "password" | "bearer"): Access {
  return {
    ...accessByGrants(principal.account, credential, principal.grantSets),
    tokenId: principal.tokenId,
  };
}

/** `header` is the `Authorization` header of the token, the key under which its access is cached. */
async function byBearer(
  cache: AuthCache,
  token: string,
  header: string,
  isUpload: boolean,
): Promise<Result<{ access: Access }>> {
  const issuer = cache.federated.issuerOf(token);
  if (issuer !== undefined) {
    const verified = await cache.federated.verify(issuer, token);
    // A federated token without an access claim has to be exchanged at /token.
    if (!verified.ok || verified.identity.access === undefined)
      return verified.ok ? failure("TOKEN_INVALID") : verified;
    const { principal, access } = verified.identity;
    // A federated token may be valid for years, and its issuer may revoke the key before that.
    const { clock, settings } = cache.registry;
    const until = Math.min(principal.endsAtMs ?? 0, clock.now() + settings.tokenTtlMs);
    return remember(cache, header, bearerAccess(accessOf(principal, "bearer"), access), until);
  }
  const verified = await verifyAccessToken(cache.registry, cache.keys, token);
  if (!verified.ok) return verified;
  const { claims } = verified;
  noteRegistered(cache.registry, claims.access);
  if (claims.isExpired) return isUpload ? continueUpload(cache, claims) : failure("TOKEN_INVALID");
  return remember(cache, header, accessOfClaims(claims), claims.expiresAtMs);
}

/** Takes note of the names that were registered when a token was issued. It saves a look in the index of names. */
function noteRegistered(registry: Registry, entries: AccessEntry[]): void {
  for (const { type, name, registered } of entries) {
    const repository = type === "repository" && registered ? parseRepositoryName(name) : undefined;
    if (repository !== undefined) registry.registered.set(repository, true, registeredMs);
  }
}

/** The memory that a cached access takes, apart from its header, in bytes. */
const keptBytes = 1024;

function remember(
  cache: AuthCache,
  header: string,
  access: Access,
  until: number,
): Result<{ access: Access }> {
  cache.bearers.setUntil(header, { access, bytes: keptBytes + 4 * header.length }, until);
  return { ok: true, access };
}

/**
 * Lets a push continue for `UPLOAD_TTL` after its token has expired, if the credentials that the token was issued for
 * are still valid. It may do what both the token and today's grants of its account allow.
 */
async function continueUpload(cache: AuthCache, claims: TokenClaims): Promise<Result<{ access: Access }>> {
  const { registry } = cache;
  if (registry.clock.now() > claims.expiresAtMs + registry.settings.uploadTtlMs)
    return failure("TOKEN_INVALID");
  const granted = accessOfClaims(claims);
  // A federated identity has no account to reload. This registry issued the token, so it is trusted for its upload.
  const reloaded: Result<{ principal: Principal }> = isFederated(claims.account)
    ? { ok: true, principal: cache.federated.reload(claims.account) }
    : await reload(registry, claims.account, claims.tokenId, claims.version);
  if (!reloaded.ok) return reloaded;
  const both = [...granted.grantSets, ...reloaded.principal.grantSets];
  const { may, grantSets } = accessByGrants(granted.account, "bearer", both);
  return { ok: true, access: { ...granted, may, grantSets } };
}

function accessOfClaims(claims: TokenClaims): Access {
  const account = claims.account === "" ? "anonymous" : claims.account;
  return {
    ...bearerAccess(accessByGrants(account, "bearer", [grantsOfAccess(claims.access)]), claims.access),
    tokenId: claims.tokenId,
    version: claims.version,
  };
}

/** Bearer tokens grant access to repositories only, never the management of accounts. */
function bearerAccess(access: Access, entries: AccessEntry[]): Access {
  const denied = new Map(entries.map((entry) => [entry.name, entry.denied ?? []]));
  const isFinal: Access["isFinal"] = (verb, repository) => denied.get(repository)?.includes(verb) ?? false;
  return { ...access, isAdministrator: false, mayList: includesCatalog(entries), isFinal };
}

/** The scheme in lower case and the value after it; `undefined` unless the header has exactly these two parts. */
export function parseAuthorization(header: string): { scheme: string; value: string } | undefined {
  const [scheme, value, ...more] = header.trim().split(/[ \t]+/);
  if (scheme === undefined || value === undefined || more.length > 0) return undefined;
  return { scheme: scheme.toLowerCase(), value };
}

/** A user name and a password. */
export type Credentials = { name: string; password: string };

const maxLength = 16 * 1024;

/**
 * Parses the value of `Basic`; `undefined` if it is not base64 of UTF-8 with a colon in it. The password may contain
 * colons, the name may not. A federated token in place of the password may be several kilobytes long.
 */
export function parseBasic(value: string): Credentials | undefined {
  if (value.length > maxLength || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(value, "base64"),
    );
    const colon = text.indexOf(":");
    return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return undefined;
  }
}
