/**
 * `/token`: where clients get tokens, and `/.well-known/jwks.json`: the keys that verify them.
 *
 * Source: Docker Registry v2 authentication, "Token Authentication Specification" (GET) and "OAuth2 Token
 * Authentication" (POST). Asking for too much is no error: what is granted is what was asked for and is allowed.
 */
import { failure, type Result } from "../../oci/errors.ts";
import type { RepositoryName } from "../../oci/name.ts";
import { parseContentLength } from "../../oci/range.ts";
import { type AccessEntry, parseScopes, verbsOf } from "../../oci/scope.ts";
import { accessByGrants, anonymous } from "../auth/access.ts";
import { audit } from "../auth/audit.ts";
import { logInLimited } from "../auth/authenticate.ts";
import { mayEverybodyPull } from "../auth/authorise.ts";
import { parseBasic } from "../auth/basic.ts";
import { basicChallenge } from "../auth/challenge.ts";
import { guardOf } from "../auth/guard.ts";
import { logIn, type Principal, recall } from "../auth/principal.ts";
import { issueAccessToken, issueRefreshToken, verifyRefreshToken } from "../auth/tokens.ts";
import { type Answer, type Context, jsonReply } from "../context.ts";
import { readBody } from "./read-body.ts";

const maxFormBytes = 64 * 1024;

/** Somebody, or nobody in particular. */
type Asker = Result<{ principal: Principal | undefined }>;

/** Issues a token to the Basic credentials, or to nobody in particular without them. */
export async function getToken(context: Context): Promise<Answer> {
  const { url } = context;
  const asker = await askerOfHeader(context);
  const wantsRefresh = url.searchParams.get("offline_token") === "true";
  return issue(context, asker, url.searchParams.getAll("scope"), wantsRefresh);
}

/** Issues a token for a password or a refresh token, by OAuth2. */
export async function postToken(context: Context): Promise<Answer> {
  const { request } = context;
  const length = parseContentLength(request.headers.get("Content-Length"));
  const body = await readBody(request.body, length, maxFormBytes);
  if (!body.ok) return { failure: failure("SIZE_INVALID") };
  const form = new URLSearchParams(new TextDecoder().decode(body.bytes));
  const wantsRefresh = form.get("access_type") === "offline";
  switch (form.get("grant_type")) {
    case "password": {
      const asker = await askerOfPassword(context, form.get("username") ?? "", form.get("password") ?? "");
      return issue(context, asker, form.getAll("scope"), wantsRefresh);
    }
    case "refresh_token": {
      const shown = form.get("refresh_token") ?? "";
      return issue(context, await askerOfRefreshToken(context, shown), form.getAll("scope"), false, shown);
    }
    default:
      return { failure: failure("GRANT_UNSUPPORTED") };
  }
}

/** Publishes the keys. */
export async function jwks({ registry }: Context): Promise<Answer> {
  const keys = await guardOf(registry).keys.publicJwks();
  return jsonReply({ keys }, { "Cache-Control": "public, max-age=300" });
}

async function askerOfHeader(context: Context): Promise<Asker> {
  const header = context.request.headers.get("Authorization");
  if (header === null) return { ok: true, principal: undefined };
  const [scheme = "", value = ""] = header.trim().split(/\s+/, 2);
  const credentials = scheme.toLowerCase() === "basic" ? parseBasic(value) : undefined;
  if (credentials === undefined) return failure("LOGIN_FAILED", "the Authorization header must be Basic");
  return askerOfPassword(context, credentials.name, credentials.password);
}

function askerOfPassword({ registry, address }: Context, name: string, password: string): Promise<Asker> {
  const guard = guardOf(registry);
  return logInLimited(guard, name, address, () => logIn(guard, name, password));
}

async function askerOfRefreshToken({ registry }: Context, token: string): Promise<Asker> {
  const verified = await verifyRefreshToken(registry, guardOf(registry).keys, token);
  if (!verified.ok) return verified;
  const { account, tokenId, version } = verified.claims;
  return recall(registry, account, tokenId, version);
}

async function issue(
  context: Context,
  asker: Asker,
  scopes: string[],
  wantsRefresh: boolean,
  refreshToken?: string,
): Promise<Answer> {
  const { registry } = context;
  if (!asker.ok)
    return { failure: asker, headers: { "WWW-Authenticate": basicChallenge(registry.settings) } };
  const { keys } = guardOf(registry);
  const { principal } = asker;
  const asked = parseScopes(scopes);
  const access = await grant(context, principal, asked);
  noteWrites(
    { ...context, access: { ...anonymous, account: principal?.account ?? "anonymous" } },
    asked,
    access,
  );
  const issued = await issueAccessToken(registry, keys, principal ?? { account: "" }, access);
  // Tokens of other issuers are not prolonged.
  const isOurs = principal !== undefined && !principal.account.startsWith("oidc:");
  const refresh =
    refreshToken ?? (wantsRefresh && isOurs ? await issueRefreshToken(registry, keys, principal) : undefined);
  return jsonReply({
    token: issued.token,
    access_token: issued.token,
    expires_in: issued.expiresInSeconds,
    issued_at: issued.issuedAt,
    token_type: "Bearer",
    ...(refresh === undefined ? {} : { refresh_token: refresh }),
  });
}

/** Of what was asked for, what is allowed, and what is not. */
async function grant(
  context: Context,
  principal: Principal | undefined,
  asked: AccessEntry[],
): Promise<AccessEntry[]> {
  const access =
    principal === undefined ? anonymous : accessByGrants(principal.account, "password", principal.grantSets);
  const granted: AccessEntry[] = [];
  for (const { type, name, actions } of asked) {
    if (type === "registry" && name === "catalog" && principal !== undefined) {
      // The list shows each caller only what they may pull.
      granted.push({ type, name, actions: ["*"] });
    }
    if (type !== "repository") continue;
    const repository = name as RepositoryName;
    const wanted = verbsOf(actions);
    const allowed = wanted.filter((verb) => access.may(verb, repository));
    const isPullLeft = wanted.includes("pull") && !allowed.includes("pull");
    if (isPullLeft && (await mayEverybodyPull({ ...context, access }, repository))) allowed.push("pull");
    const denied = wanted.filter((verb) => !allowed.includes(verb));
    granted.push({ type, name, actions: allowed, ...(denied.length === 0 ? {} : { denied }) });
  }
  return granted;
}

/** Writes into the audit log who was given leave to write, or refused it. */
function noteWrites(context: Context, asked: AccessEntry[], granted: AccessEntry[]): void {
  if (context.access.account === "anonymous") return;
  for (const { type, name, actions } of asked) {
    const writes = verbsOf(actions).filter((verb) => verb !== "pull");
    if (type !== "repository" || writes.length === 0) continue;
    const allowed = granted.find((entry) => entry.type === type && entry.name === name)?.actions ?? [];
    const outcome = writes.some((verb) => allowed.includes(verb)) ? "granted" : "denied";
    audit(context, { action: `token for ${writes.join(",")}`, target: name, outcome });
  }
}
