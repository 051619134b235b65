/**
 * Requests to an upstream, and to where it leads: each address is checked, redirects and token services included.
 *
 * A public upstream is reached over a network that has no private addresses, whatever a name resolves to.
 */
import type { Env } from "../../bindings.ts";
import { RegistryError } from "../../client/errors.ts";
import type { Fetch } from "../../client/exchange.ts";
import type { RetryPolicy } from "../../client/retry.ts";
import type { Upstream } from "../../oci/upstream.ts";
import { isPrivateHost } from "../../oci/webhook-target.ts";
import type { RateLimit } from "../../rpc/upstream-api.ts";
import { version } from "../../version.ts";

/** A client waits for the answer: a short pause may help, and what takes longer is the next client's question. */
export const upstreamRetries: RetryPolicy = { attempts: 2, firstPauseMs: 200, maxPauseMs: 1000 };

/** How this registry calls itself. */
export const userAgent = `stowage/${version}`;

/** Called with each answer. */
export type Observe = (response: Response) => void;

/**
 * The `fetch` for an upstream.
 *
 * @throws RegistryError of the kind `untrusted` for an address that must not be asked
 */
export function upstreamFetch(env: Env, upstream: Upstream, observe: Observe = () => {}): Fetch {
  const internet: Pick<Fetcher, "fetch"> = { fetch: (...request) => fetch(...request) };
  const network = upstream.isPrivate ? internet : (env.WEBHOOK_OUTBOUND ?? internet);
  return async (url, init) => {
    const problem = addressProblem(url, upstream);
    if (problem !== undefined)
      throw new RegistryError("untrusted", `${upstream.id} leads to ${url.origin}, which is ${problem}`);
    const response = await network.fetch(url.href, init as RequestInit<never>);
    observe(response as unknown as Response);
    return response as unknown as Response;
  };
}

/** Why an address may not be asked on behalf of an upstream; `undefined` if it may. */
export function addressProblem(
  { protocol, hostname, username, password }: URL,
  { isPrivate, isInsecure }: Pick<Upstream, "isPrivate" | "isInsecure">,
): string | undefined {
  if (protocol !== "https:" && !(protocol === "http:" && isInsecure)) return "not encrypted";
  if (username !== "" || password !== "") return "written with credentials";
  return !isPrivate && isPrivateHost(hostname) ? "a private address" : undefined;
}

/**
 * Whether a token service may be that of an upstream: the one that the settings name, or at the registry's own host, or
 * at its domain, as auth.docker.io is for registry-1.docker.io and gitlab.com for registry.gitlab.com.
 */
export function isTrustedRealm(
  realm: URL,
  { url, realm: configured }: Pick<Upstream, "url" | "realm">,
): boolean {
  if (configured !== undefined) return realm.origin === new URL(configured).origin;
  const { hostname } = new URL(url);
  if (realm.hostname === hostname) return true;
  const domain = hostname.slice(hostname.indexOf(".") + 1);
  if (!isRegistrable(domain)) return false;
  return realm.hostname === domain || realm.hostname.endsWith(`.${domain}`);
}

/**
 * Whether a domain above a host's first label may belong to one owner: it has two labels or more, and is none below
 * which everybody registers, as far as its form tells (co.uk, com.au).
 */
function isRegistrable(domain: string): boolean {
  const labels = domain.split(".");
  const [top = "", second = ""] = labels.toReversed();
  if (labels.length < 2 || /^\d+$/.test(top)) return false;
  const isShared = top.length === 2 && /^(?:ac|co|com|edu|go|gov|ne|net|nom|or|org)$/.test(second);
  return labels.length > 2 || !isShared;
}

/** The `RateLimit-*` headers of an answer. Source: Docker Hub, "Pull rate limit headers". */
export function rateLimitOf({ headers }: Pick<Response, "headers">, nowMs: number): RateLimit | undefined {
  const [limit, window] = parse(headers.get("RateLimit-Limit"));
  const [remaining] = parse(headers.get("RateLimit-Remaining"));
  if (limit === undefined || remaining === undefined) return undefined;
  return { limit, remaining, ...(window === undefined ? {} : { windowSeconds: window }), atMs: nowMs };
}

function parse(header: string | null): [number | undefined, number | undefined] {
  const [, amount, window] = header?.trim().match(/^(\d{1,9})(?:\s*;\s*w=(\d{1,9}))?/) ?? [];
  return [
    amount === undefined ? undefined : Number(amount),
    window === undefined ? undefined : Number(window),
  ];
}
