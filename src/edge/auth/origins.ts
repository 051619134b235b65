/**
 * Under which names the registry is asked for, and which web sites its browsers are on.
 *
 * A browser sends what any page tells it to, with the passwords it knows and from inside the network it is in. Without
 * CORS headers a page of another site cannot read the answers, but that it sent the request may be all it wants. And a
 * name of its own that it lets point to this machine (DNS rebinding) makes it a page of this very registry.
 *
 * Sources: Fetch, "`Origin` header"; Fetch Metadata, "The `Sec-Fetch-Site` HTTP Request Header"; RFC 9110, 15.5.20.
 */
import type { Settings } from "../../env.ts";
import { type Failure, failure } from "../../oci/errors.ts";
import { isLoopbackHost, parseOrigin, withoutFinalDot } from "../../oci/origin.ts";
import { isRead, type Route } from "../route.ts";

/**
 * The origin that the client asked for: the request's own, or what a trusted proxy says of it. Where something in
 * front speaks TLS and says nothing, the scheme is a setting. Of several values of a header the last counts: the one
 * that the proxy itself has added.
 */
export function originOf(settings: Settings, url: URL, headers: Headers): string {
  const forwarded = (header: string) =>
    settings.trustForwarded ? headers.get(header)?.split(",").at(-1)?.trim() : undefined;
  const requested = settings.publicScheme === "request" ? url.protocol.slice(0, -1) : settings.publicScheme;
  const said = forwarded("X-Forwarded-Proto");
  const scheme = said === "https" || said === "http" ? said : requested;
  const host = forwarded("X-Forwarded-Host");
  const byProxy = host === undefined ? undefined : parseOrigin(`${scheme}://${host}`);
  return (byProxy ?? new URL(`${scheme}://${url.host}`)).origin;
}

/** What there is to know of a request before it is known who asks. */
type Received = { settings: Settings; request: Request; url: URL; route: Route | undefined };

/**
 * Why a request is refused, whoever sent it: by its host, or by the site that made a browser send it. `undefined` if it
 * is not. Errors: `HOST_UNKNOWN`, `SITE_FOREIGN`.
 */
export function refusalByOrigin({ settings, request, url, route }: Received): Failure | undefined {
  const { headers, method } = request;
  if (settings.access === "open") {
    // What a proxy was asked for, whoever can reach it may have been led to; and so may who goes around the proxy.
    const stranger = [url.hostname, ...forwardedHosts(settings, headers)].find(
      (host) => !isOpenHost(settings, host),
    );
    if (stranger !== undefined) return failure("HOST_UNKNOWN", { host: stranger });
  }
  if (isRead(route, method)) return undefined;
  const site = headers.get("Sec-Fetch-Site") ?? "none";
  if (site !== "none" && site !== "same-origin") return failure("SITE_FOREIGN", { site });
  const asked = originOf(settings, url, headers);
  const origin = headers.get("Origin") ?? asked;
  if (origin !== asked && origin !== settings.publicUrl) {
    return failure("SITE_FOREIGN", { origin, expected: settings.publicUrl ?? asked });
  }
  return undefined;
}

/** The name that a trusted proxy says it was asked for, if it says one: as it is, where it is no host that we know. */
function forwardedHosts({ trustForwarded }: Settings, headers: Headers): string[] {
  const said = trustForwarded ? headers.get("X-Forwarded-Host")?.trim() : undefined;
  if (said === undefined || said === "") return [];
  const host = said.split(",").at(-1)?.trim() ?? "";
  return [parseOrigin(`http://${host}`)?.hostname ?? said.slice(0, 100)];
}

function isOpenHost({ openHosts }: Settings, host: string): boolean {
  return isLoopbackHost(host) || openHosts.includes(withoutFinalDot(host));
}
