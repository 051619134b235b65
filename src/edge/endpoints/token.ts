/**
 * `/token`: where clients get tokens, and `/.well-known/jwks.json`: the keys that verify them.
 *
 * Source: Docker Registry v2 authentication, "Token Authentication Specification" (GET) and "OAuth2 Token
 * Authentication" (POST). Requesting too much is no error: the token grants the part of the request that is allowed.
 */
import { failure, type Result } from "../../oci/errors.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import { type AccessEntry, formatScope, includesCatalog, parseScopes, verbsOf } from "../../oci/scope.ts";
import { canonicalName } from "../../oci/upstream.ts";
import { isKnownToBeRegistered } from "../../registry/ledgers.ts";
import type { Registry } from "../../registry/registry.ts";
import { type AuditEvent, audit } from "../auth/audit.ts";
import {
  authCacheOf,
  type Credentials,
  logInByPassword,
  parseAuthorization,
  parseBasic,
} from "../auth/authenticate.ts";
import {
  accessByGrants,
  anonymous,
  basicChallenge,
  hasTooManyMisses,
  mayEverybodyPull,
} from "../auth/authorise.ts";
import { isFederated, type Principal, reload } from "../auth/principal.ts";
import { issueAccessToken, issueRefreshToken, verifyRefreshToken } from "../auth/tokens.ts";
import { readForm, unreadForm } from "../body.ts";
import type { Answer, Context } from "../context.ts";
import { jsonReply } from "../respond.ts";

const maxFormBytes = 64 * 1024;

/** The caller that requests a token; anonymous without a principal. */
type Asker = Result<{ principal: Principal | undefined }>;

/** Issues a token for the Basic credentials, or an anonymous one without them. */
export async function getToken(context: Context): Promise<Answer> {
  const { url } = context;
  const asker = await askerOfHeader(context);
  const wantsRefresh = url.searchParams.get("offline_token") === "true";
  return issue(context, asker, url.searchParams.getAll("scope"), wantsRefresh);
}

/** Issues a token for a password or a refresh token, by OAuth2. */
export async function postToken(context: Context): Promise<Answer> {
  const body = await readForm(context, maxFormBytes);
  if (!body.ok) return unreadForm(body.reason);
  const form = new URLSearchParams(new TextDecoder().decode(body.bytes));
  const wantsRefresh = form.get("access_type") === "offline";
  switch (form.get("grant_type")) {
    case "password": {
      const credentials = { name: form.get("username") ?? "", password: form.get("password") ?? "" };
      const asker = await askerOfPassword(context, credentials);
      return issue(context, asker, form.getAll("scope"), wantsRefresh);
    }
    case "refresh_token": {
      const shown = form.get("refresh_token") ?? "";
      return issue(context, await askerOfRefreshToken(context, shown), form.getAll("scope"), false, shown);
    }
    default:
      return failure("GRANT_UNSUPPORTED");
  }
}

/** Publishes the keys. */
export async function jwks({ registry }: Context): Promise<Answer> {
  const keys = await authCacheOf(registry).keys.publicJwks();
  return jsonReply({ keys }, { "Cache-Control": "public, max-age=300" });
}

async function askerOfHeader(context: Context): Promise<Asker> {
  const header = context.request.headers.get("Authorization");
  if (header === null) return { ok: true, principal: undefined };
  const { scheme, value = "" } = parseAuthorization(header) ?? {};
  const credentials = scheme === "basic" ? parseBasic(value) : undefined;
  if (credentials === undefined) return failure("LOGIN_FAILED", "the Authorization header must be Basic");
  return askerOfPassword(context, credentials);
}

function askerOfPassword({ registry, address }: Context, credentials: Credentials): Promise<Asker> {
  return logInByPassword(authCacheOf(registry), credentials, address);
}

async function askerOfRefreshToken({ registry }: Context, token: string): Promise<Asker> {
  const verified = await verifyRefreshToken(registry, authCacheOf(registry).keys, token);
  if (!verified.ok) return verified;
  const { account, tokenId, version } = verified.claims;
  return reload(registry, account, tokenId, version);
}

async function issue(
  context: Context,
  asker: Asker,
  scopes: string[],
  wantsRefresh: boolean,
  refreshToken?: string,
): Promise<Answer> {
  const { registry } = context;
  if (!asker.ok) {
    const isRefused = asker.error === "LOGIN_FAILED" || asker.error === "TOKEN_INVALID";
    const headers = { "WWW-Authenticate": basicChallenge(registry.settings) };
    return isRefused ? { ...asker, headers } : asker;
  }
  const { keys } = authCacheOf(registry);
  const { principal } = asker;
  const asked = parseScopes(scopes);
  if (principal === undefined && asked.length > 0 && hasTooManyMisses(context)) {
    return failure("TOOMANYREQUESTS");
  }
  const access = await grant(context, principal, asked);
  noteWrites({ ...context, access: { ...anonymous, account: principal?.account ?? "anonymous" } }, access);
  const issued = await issueAccessToken(registry, keys, principal, access);
  // Federated identities get no refresh token.
  const isOurs = principal !== undefined && !isFederated(principal.account);
  const refresh =
    refreshToken ?? (wantsRefresh && isOurs ? await issueRefreshToken(registry, keys, principal) : undefined);
  return jsonReply({
    token: issued.token,
    access_token: issued.token,
    expires_in: issued.expiresInSeconds,
    issued_at: issued.issuedAt,
    token_type: "Bearer",
    scope: access
      .filter(({ actions }) => actions.length > 0)
      .map(formatScope)
      .join(" "),
    ...(refresh === undefined ? {} : { refresh_token: refresh }),
  });
}

/** Divides the requested access into what is allowed and what is denied. */
async function grant(
  context: Context,
  principal: Principal | undefined,
  asked: AccessEntry[],
): Promise<AccessEntry[]> {
  const access =
    principal === undefined ? anonymous : accessByGrants(principal.account, "password", principal.grantSets);
  const granted: AccessEntry[] = [];
  // Sequential, so that a miss is counted before the next look-up.
  for (const each of asked) {
    const entry = await grantEntry({ ...context, access }, each);
    if (entry !== undefined) granted.push(entry);
  }
  return Promise.all(granted.map((entry) => withRegistration(context.registry, entry)));
}

/** Says whether the name is registered, so that requests with the token need not ask. It is no harm not to know. */
async function withRegistration(registry: Registry, entry: AccessEntry): Promise<AccessEntry> {
  const { type, name, actions } = entry;
  if (type !== "repository" || actions.length === 0) return entry;
  const isRegistered = await isKnownToBeRegistered(registry, name as RepositoryName).catch(() => false);
  return isRegistered ? { ...entry, registered: true } : entry;
}

async function grantEntry(context: Context, asked: AccessEntry): Promise<AccessEntry | undefined> {
  const { type, name, actions } = asked;
  // The list shows only what its caller may pull.
  if (type === "registry") return includesCatalog([asked]) ? { type, name, actions: ["*"] } : undefined;
  if (type !== "repository") return undefined;
  const repository = canonicalName(context.registry.settings.upstreams, name as RepositoryName);
  const wanted = verbsOf(actions);
  const allowed = wanted.filter((verb) => context.access.may(verb, repository));
  const isPullLeft = wanted.includes("pull") && !allowed.includes("pull");
  if (isPullLeft && (await mayEverybodyPull(context, repository))) allowed.push("pull");
  const denied = wanted.filter((verb) => !allowed.includes(verb));
  return { type, name: repository, actions: allowed, ...(denied.length === 0 ? {} : { denied }) };
}

/** Writes into the audit log to whom write access was granted, and to whom it was denied. */
function noteWrites(context: Context, granted: AccessEntry[]): void {
  if (context.access.account === "anonymous") return;
  const events = granted.flatMap(({ type, name, actions, denied = [] }) =>
    type === "repository" ? [...noteOf(name, actions, "granted"), ...noteOf(name, denied, "denied")] : [],
  );
  audit(context, ...events);
}

function noteOf(target: string, actions: string[], outcome: "granted" | "denied"): AuditEvent[] {
  const writes = actions.filter((action) => action !== "pull");
  return writes.length === 0 ? [] : [{ action: `token for ${writes.join(",")}`, target, outcome }];
}
