/**
 * Sessions of browsers: a signed cookie that names an account and the version of its credentials. It counts for the
 * management API alone, and only in requests that a page of this registry made a browser send.
 *
 * Sources: RFC 6265bis, 4.1.3 ("Cookie Name Prefixes") and 5.6.7 ("SameSite"); Fetch Metadata, `Sec-Fetch-Site`.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { isLoopbackHost } from "../../oci/address.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { Registry } from "../../registry/registry.ts";
import { hour } from "../../units.ts";
import type { Access, HeaderMap } from "../context.ts";
import { accessByGrants, originOf } from "./authorise.ts";
import { isFederated, type Principal, reload } from "./principal.ts";

/** How long a session lasts, in milliseconds. */
const sessionTtlMs = 12 * hour;

/** What is signed. */
type Session = { account: string; version: string; tokenId?: string; endsAtMs: number };

/** A request of a browser, as far as its session is concerned. */
type Received = { registry: Registry; request: Request; url: URL };

/**
 * The name of the cookie, and whether browsers must keep it from plain http; `undefined` if they would keep no session
 * over this connection. The prefix has browsers refuse a cookie that another host or an insecure page has set.
 */
function cookieOf({ registry, request, url }: Received): { name: string; isSecure: boolean } | undefined {
  const origin = new URL(originOf(registry.settings, url, request.headers));
  if (origin.protocol === "https:") return { name: "__Host-stowage", isSecure: true };
  return isLoopbackHost(origin.hostname) ? { name: "stowage", isSecure: false } : undefined;
}

/**
 * The access of a session; `undefined` if the request has none that counts. Costs a call to the catalog: a session ends
 * at once when its account's password changes, or when the account is disabled or deleted.
 */
export async function accessBySession(received: Received): Promise<Access | undefined> {
  const { registry, request } = received;
  const header = request.headers.get("Cookie");
  const cookie = header === null ? undefined : cookieOf(received);
  if (header === null || cookie === undefined || !isOfOwnPage(received)) return undefined;
  const value = header
    .split(";")
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(`${cookie.name}=`));
  const session = value && (await verify(registry, value.slice(cookie.name.length + 1)));
  if (!session || session.endsAtMs <= registry.clock.now()) return undefined;
  const { account, tokenId, version, endsAtMs } = session;
  const reloaded = await reload(registry, account, tokenId, version);
  if (!reloaded.ok) return undefined;
  const { grantSets } = reloaded.principal;
  return { ...accessByGrants(account, "session", grantSets), tokenId, version, endsAtMs };
}

/** Whether a page of this registry made the browser send the request. Other sites were refused before. */
function isOfOwnPage({ registry, request, url }: Received): boolean {
  const { headers } = request;
  const site = headers.get("Sec-Fetch-Site");
  if (site !== null) return site === "same-origin";
  return headers.get("Origin") === originOf(registry.settings, url, headers);
}

/** Whether a change by a session is refused, as it is not what a page of this registry sends: a form cannot send JSON. */
export function isNoJsonChange(access: Access, { method, headers }: Request): boolean {
  if (access.credential !== "session" || method === "GET" || method === "HEAD") return false;
  return !/^application\/json(?:\s*;|$)/i.test(headers.get("Content-Type") ?? "");
}

/**
 * The access of an account that signs in, and the header that sets its cookie. Errors: `CONNECTION_INSECURE`;
 * `DENIED` for identities of other issuers, which have no account.
 */
export async function startSession(
  received: Received,
  principal: Principal,
): Promise<Result<{ access: Access; headers: HeaderMap }>> {
  const { registry } = received;
  const cookie = cookieOf(received);
  if (cookie === undefined) return failure("CONNECTION_INSECURE");
  const { account, version, tokenId, grantSets } = principal;
  if (isFederated(account)) return failure("DENIED", "sign in with an account of this registry");
  const endsAtMs = Math.min(
    registry.clock.now() + sessionTtlMs,
    principal.endsAtMs ?? Number.POSITIVE_INFINITY,
  );
  const session: Session = { account, version, endsAtMs, ...(tokenId === undefined ? {} : { tokenId }) };
  const seconds = Math.floor((endsAtMs - registry.clock.now()) / 1000);
  return {
    ok: true,
    access: { ...accessByGrants(account, "session", grantSets), tokenId, version, endsAtMs },
    headers: setCookie(cookie, await sign(registry, session), seconds),
  };
}

/** The header that removes the cookie. */
export function endSession(received: Received): HeaderMap {
  const cookie = cookieOf(received);
  return cookie === undefined ? {} : setCookie(cookie, "", 0);
}

function setCookie({ name, isSecure }: { name: string; isSecure: boolean }, value: string, seconds: number) {
  const secure = isSecure ? "; Secure" : "";
  return { "Set-Cookie": `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}` };
}

async function sign(registry: Registry, session: Session): Promise<string> {
  const payload = Buffer.from(JSON.stringify(session)).toString("base64url");
  return `${payload}.${(await signatureOf(registry, payload)).toString("base64url")}`;
}

async function verify(registry: Registry, value: string): Promise<Session | undefined> {
  const [payload = "", signature = "", ...more] = value.split(".");
  if (more.length > 0) return undefined;
  const wanted = await signatureOf(registry, payload);
  const given = Buffer.from(signature, "base64url");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
  return JSON.parse(Buffer.from(payload, "base64url").toString()) as Session;
}

async function signatureOf(registry: Registry, payload: string): Promise<Buffer> {
  const secret = await registry.sessionSecret();
  return createHmac("sha256", secret).update(`browser session\n${payload}`).digest();
}
