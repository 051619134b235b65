/**
 * Under which names the registry is asked for, and which web sites its browsers are on.
 *
 * A browser sends what any page tells it to, with the passwords it knows and from inside the network it is in. Without
 * CORS headers a page of another site cannot read the answers, but that it sent the request may be all it wants. And a
 * name of its own that it lets point to this machine (DNS rebinding) makes it a page of this very registry.
 *
 * Sources: Fetch, "`Origin` header"; Fetch Metadata, "The `Sec-Fetch-Site` HTTP Request Header"; RFC 9110, 15.5.20.
 */

import { type Failure, failure } from "../../oci/errors.ts";
import { isLoopbackHost, parseOrigin, withoutFinalDot } from "../../oci/origin.ts";
import type { Settings } from "../../settings/settings.ts";
import { isRead, type Route } from "../route.ts";

/**
 * The origin that the client asked for: the request's own, or what a trusted proxy says of it. Where something in
 * front speaks TLS and says nothing, the scheme is a setting. Of several values of a header the last counts: the one
 * that the proxy itself has added.
 */
export function originOf(settings: Settings, url: URL, headers: Headers): string {
  const requested = settings.publicScheme === "request" ? url.protocol.slice(0, -1) : settings.publicScheme;
  const said = forwarded(settings, headers, "X-Forwarded-Proto");
  const scheme = said === "https" || said === "http" ? said : requested;
  const host = forwarded(settings, headers, "X-Forwarded-Host");
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
function forwardedHosts(settings: Settings, headers: Headers): string[] {
  const host = forwarded(settings, headers, "X-Forwarded-Host");
  if (host === undefined) return [];
  return [parseOrigin(`http://${host}`)?.hostname ?? host.slice(0, 100)];
}

/** What a trusted proxy says in a header: the last of its values. An empty header says nothing. */
function forwarded({ trustForwarded }: Settings, headers: Headers, header: string): string | undefined {
  const values = trustForwarded ? headers.get(header)?.trim() : undefined;
  return values ? values.split(",").at(-1)?.trim() : undefined;
}

function isOpenHost({ openHosts }: Settings, host: string): boolean {
  return isLoopbackHost(host) || openHosts.includes(withoutFinalDot(host));
}
