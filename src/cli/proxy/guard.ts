/** Decides which requests a proxy accepts, because it may have credentials of its own. */
import type { IncomingHttpHeaders } from "node:http";
import { isLoopbackHost, parseOrigin } from "../../oci/address.ts";

/**
 * What is wrong with where a request comes from; `undefined` for nothing.
 *
 * A page in a browser can send requests to this machine, and a name that it made point here as well. Programs that push
 * and pull say neither that they are a page nor that they call anything but this machine.
 */
export function refusedOrigin(headers: IncomingHttpHeaders, isRemote: boolean): string | undefined {
  const site = headers["sec-fetch-site"];
  if (headers.origin !== undefined || (site !== undefined && site !== "none")) {
    return "a page of a site made a browser send this";
  }
  const host = parseOrigin(`http://${headers.host ?? ""}`)?.hostname;
  if (host === undefined) return "the request does not say which host it is for";
  if (isRemote || isLoopbackHost(host)) return undefined;
  return "the proxy is called localhost, or by an address of this machine";
}
