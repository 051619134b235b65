/**
 * Authorises callers, and makes the refusals. A challenge tells the client where to get a token, and for which scope.
 *
 * A repository that the caller may not see gets the same answer as one that does not exist, before any look-up.
 *
 * Sources: Docker Registry v2 authentication, "How to authenticate"; RFC 6750, section 3; Fetch, "`Origin` header";
 * Fetch Metadata, "The `Sec-Fetch-Site` HTTP Request Header"; RFC 9110, 15.5.20.
 */

import { isLoopbackHost, parseOrigin, withoutFinalDot } from "../../oci/address.ts";
import { type Failure, failure } from "../../oci/errors.ts";
import { everything, findGrant, type Grant, isAdministrator, type Verb } from "../../oci/grant.ts";
import { parseRepositoryName, type RepositoryName } from "../../oci/reference.ts";
import { type AccessEntry, formatScope } from "../../oci/scope.ts";
import { canonicalName } from "../../oci/upstream.ts";
import { ExpiringLru } from "../../registry/caches.ts";
import type { Registry } from "../../registry/registry.ts";
import { isPublic, knownVisibility } from "../../registry/repositories.ts";
import type { Settings } from "../../settings/settings.ts";
import type { Access, Context, Credential, Refusal } from "../context.ts";
import { InFlight } from "../in-flight.ts";
import { audit } from "./audit.ts";
import { FailureLimit, networkName } from "./limits.ts";
import { isFederated, reload } from "./principal.ts";

/** Access by sets of grants: every set must allow an action. */
export function accessByGrants(account: string, credential: Credential, grantSets: Grant[][]): Access {
  return {
    account,
    credential,
    grantSets,
    may: (verb, repository) => grantSets.every((grants) => findGrant(grants, verb, repository) !== undefined),
    isAdministrator: grantSets.every(isAdministrator),
    mayList: true,
    isFinal: () => true,
  };
}

/** A caller without a credential. */
export const anonymous: Access = {
  account: "anonymous",
  credential: "none",
  grantSets: [[]],
  may: () => false,
  isAdministrator: false,
  mayList: false,
  isFinal: () => true,
};

/** A caller that may read the metrics, and nothing else. */
export const scraper: Access = { ...anonymous, account: "metrics", credential: "scraper" };

/** Any caller of an open registry. */
export const openToAll: Access = accessByGrants("anonymous", "open", [everything]);

/** Whether the caller has no credential. */
function isAnonymous(access: Access): boolean {
  return access.account === "anonymous" && access.credential !== "open";
}

/** `undefined` if the caller may; else the refusal. `byGrant`: that the repository is public is not enough. */
export async function refusalFor(
  context: Context,
  repository: RepositoryName,
  verb: Verb,
  byGrant = false,
): Promise<Refusal | undefined> {
  const { access } = context;
  // Before anything else, as even a refusal may cost a look-up.
  if (verb === "pull" && hasTooManyMisses(context)) return failure("TOOMANYREQUESTS");
  if (access.may(verb, repository)) return undefined;
  if (verb === "pull" && !byGrant && (await mayEverybodyPull(context, repository))) return undefined;
  return deny(context, repository, verb);
}

/** What authorisation keeps in the memory of an isolate. */
type AuthorisationCache = {
  /** Counts requests for content that does not exist. */
  misses: FailureLimit;
  /** Visibility look-ups, by caller. */
  visibilityLookups: InFlight;
  /** The full access of accounts, for lists. */
  subjects: ExpiringLru<CachedAccess>;
};

/** The access of a caller, and how much memory it takes. */
export type CachedAccess = { access: Access; bytes: number };

const caches = new WeakMap<Registry, AuthorisationCache>();

function cacheOf(registry: Registry): AuthorisationCache {
  const known = caches.get(registry);
  if (known !== undefined) return known;
  const cache: AuthorisationCache = {
    misses: new FailureLimit(registry.rateLimits, "ANONYMOUS_MISSES", registry.clock),
    visibilityLookups: new InFlight(registry.clock, maxLookups),
    subjects: new ExpiringLru(registry.clock, 1024 * 1024, ({ bytes }) => bytes),
  };
  caches.set(registry, cache);
  return cache;
}

/**
 * Counts a request of an anonymous caller for something that does not exist. Many of them are guesses or a broken
 * client.
 */
export async function countMiss({ registry, access, address }: Caller): Promise<void> {
  if (isAnonymous(access)) await cacheOf(registry).misses.count(networkName(address));
}

/** Whether an anonymous caller has requested things that do not exist too often. */
export function hasTooManyMisses({ registry, access, address }: Caller): boolean {
  return isAnonymous(access) && cacheOf(registry).misses.isReached(networkName(address));
}

/**
 * Whether a caller may have an upstream asked, and counts accounts that do: who asks for much that does not exist, by
 * name or from one network, has asked enough for a while. Misses of anonymous callers are counted as everywhere.
 */
export function mayAskUpstream(caller: Caller): boolean {
  const { registry, access, address } = caller;
  const who = isAnonymous(access) ? networkName(address) : `account ${access.account}`;
  return !cacheOf(registry).misses.isReached(who);
}

/** Counts a question to an upstream, in the name of an account, about something that it does not have. */
export async function countUpstreamMiss({ registry, access }: Caller): Promise<void> {
  if (!isAnonymous(access)) await cacheOf(registry).misses.count(`account ${access.account}`);
}

type Caller = Pick<Context, "registry" | "access" | "address">;

/** How many visibility look-ups one caller may have in flight in an isolate. */
const maxLookups = 32;

/**
 * Whether a repository is public. A caller who requests many repositories that are neither public nor theirs to pull is
 * assumed to be guessing names: for a while nothing is looked up on their behalf.
 */
export async function mayEverybodyPull(caller: Caller, repository: RepositoryName): Promise<boolean> {
  const { registry, access, address } = caller;
  const known = knownVisibility(registry, repository);
  if (known !== undefined) return known;
  const { misses, visibilityLookups } = cacheOf(registry);
  // Accounts that guess names are limited, too.
  const who = isAnonymous(access) ? networkName(address) : `account ${access.account}`;
  // A look-up in flight may turn out to be a miss, and is counted only afterwards.
  const end = misses.isReached(who) ? undefined : visibilityLookups.begin(who);
  if (end === undefined) return false;
  try {
    const answer = await isPublic(registry, repository);
    if (!answer) await misses.count(who);
    return answer;
  } finally {
    end();
  }
}

/**
 * Whether the caller may read a blob from a repository that they named, in order to mount it elsewhere. A bearer token
 * must grant that itself; other grants of its account do not count.
 */
export async function mayPullFrom(context: Context, source: RepositoryName): Promise<boolean> {
  return context.access.may("pull", source) || (await mayEverybodyPull(context, source));
}

function deny(context: Context, repository: RepositoryName, verb: Verb): Refusal {
  const { access } = context;
  if (!isAnonymous(access) && access.isFinal(verb, repository)) {
    if (verb !== "pull") audit(context, { action: verb, target: repository, outcome: "denied" });
    return failure("DENIED", { repository, action: verb });
  }
  return challenge(context, scopesFor(context, repository, verb));
}

/** Refers the caller to the token service, for these scopes. */
export function challenge({ registry, access, url, request }: Context, scopes: AccessEntry[]): Refusal {
  const isForOther = access.credential === "bearer" && !isAnonymous(access);
  const header = bearerChallenge(
    registry.settings,
    url,
    request.headers,
    scopes,
    isForOther ? "insufficient_scope" : undefined,
  );
  return {
    ...failure(isForOther ? "SCOPE_INSUFFICIENT" : "UNAUTHORIZED"),
    headers: { "WWW-Authenticate": header },
  };
}

/** The scopes to request: a push also needs to pull, and a mount needs to pull from its source. */
function scopesFor({ url, registry }: Context, repository: RepositoryName, verb: Verb): AccessEntry[] {
  const actions = verb === "push" ? ["pull", "push"] : [verb];
  const scopes = [{ type: "repository", name: repository as string, actions }];
  const source = url.searchParams.get("mount") === null ? null : url.searchParams.get("from");
  const from = source === null ? undefined : parseRepositoryName(source);
  if (from !== undefined) {
    const name = canonicalName(registry.settings.upstreams, from);
    scopes.push({ type: "repository", name, actions: ["pull"] });
  }
  return scopes;
}

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

/** The `WWW-Authenticate` of a route that accepts only passwords and generated tokens. */
export function basicChallenge(settings: Settings): string {
  return `Basic realm="${settings.service}", charset="UTF-8"`;
}

/** How long an account's grants are kept for lists, in milliseconds. */
const grantsTtlMs = 60_000;

/**
 * A filter for lists of repositories: those that the caller's account may pull, by its grants of the last minute. A
 * bearer token for a list grants only listing; access to one repository must be in the token itself.
 *
 * Only the token's own access counts for federated identities, which have no account here, and for tokens that were
 * issued before the account's password changed.
 */
export async function pullGrants(context: Context): Promise<(repository: RepositoryName) => boolean> {
  const { access, registry } = context;
  const own = (repository: RepositoryName) => access.may("pull", repository);
  if (access.credential !== "bearer" || isAnonymous(access) || isFederated(access.account)) return own;
  const { subjects } = cacheOf(registry);
  const key = `${access.account} ${access.tokenId ?? ""} ${access.version ?? ""}`;
  const known = subjects.get(key);
  if (known !== undefined) return (repository) => known.access.may("pull", repository);
  const reloaded = await reload(registry, access.account, access.tokenId, access.version);
  if (!reloaded.ok) return own;
  const full = accessByGrants(access.account, "bearer", reloaded.principal.grantSets);
  const bytes = 1024 + 4 * JSON.stringify(reloaded.principal.grantSets).length;
  subjects.set(key, { access: full, bytes }, grantsTtlMs);
  return (repository) => full.may("pull", repository);
}

/**
 * The origin that the client requested: the request's own, or the one that a trusted proxy forwards. `PUBLIC_SCHEME`
 * gives the scheme if a proxy terminates TLS without forwarding it. If a header has several values, the last one
 * counts: the trusted proxy has added it.
 */
export function originOf(settings: Settings, url: URL, headers: Headers): string {
  const requested = settings.publicScheme === "request" ? url.protocol.slice(0, -1) : settings.publicScheme;
  const said = forwarded(settings, headers, "X-Forwarded-Proto");
  const scheme = said === "https" || said === "http" ? said : requested;
  const host = forwarded(settings, headers, "X-Forwarded-Host");
  const byProxy = host === undefined ? undefined : parseOrigin(`${scheme}://${host}`);
  return (byProxy ?? new URL(`${scheme}://${url.host}`)).origin;
}

/** A request that is not authenticated yet. `isRead`: it is harmless even if another site made a browser send it. */
type Received = { settings: Settings; request: Request; url: URL; isRead: boolean };

/**
 * Refuses a request because of its host, or of the site that made a browser send it, whoever the caller is. `undefined`
 * if it is not refused. Errors: `HOST_UNKNOWN`, `SITE_FOREIGN`.
 *
 * Any page can make a browser send requests, with saved passwords and from inside the user's network. Without CORS
 * headers a page of another site cannot read the answers, but the request may do harm by itself. With DNS rebinding (a
 * hostile name that resolves to this machine) the page would even have the same origin as this registry.
 */
export function refusalByOrigin({ settings, request, url, isRead }: Received): Failure | undefined {
  const { headers } = request;
  if (settings.access === "open") {
    // A page may make a browser use the proxy under a hostile name, or bypass it: both names must be known.
    const stranger = [url.hostname, ...forwardedHosts(settings, headers)].find(
      (host) => !isOpenHost(settings, host),
    );
    if (stranger !== undefined) return failure("HOST_UNKNOWN", { host: stranger });
  }
  if (isRead) return undefined;
  const site = headers.get("Sec-Fetch-Site") ?? "none";
  if (site !== "none" && site !== "same-origin") return failure("SITE_FOREIGN", { site });
  const asked = originOf(settings, url, headers);
  const origin = headers.get("Origin") ?? asked;
  if (origin !== asked && origin !== settings.publicUrl) {
    return failure("SITE_FOREIGN", { origin, expected: settings.publicUrl ?? asked });
  }
  return undefined;
}

/** The host in `X-Forwarded-Host`, if a trusted proxy sets it; a malformed one is returned as it is. */
export function forwardedHosts(settings: Settings, headers: Headers): string[] {
  const host = forwarded(settings, headers, "X-Forwarded-Host");
  if (host === undefined) return [];
  return [parseOrigin(`http://${host}`)?.hostname ?? host.slice(0, 100)];
}

/** The last value of a header that a trusted proxy sets; `undefined` if it is missing or empty. */
function forwarded({ trustForwarded }: Settings, headers: Headers, header: string): string | undefined {
  const values = trustForwarded ? headers.get(header)?.trim() : undefined;
  return values ? values.split(",").at(-1)?.trim() : undefined;
}

function isOpenHost({ openHosts }: Settings, host: string): boolean {
  return isLoopbackHost(host) || openHosts.includes(withoutFinalDot(host));
}
