/**
 * What events tell of the request that caused them.
 */
import type { Origin } from "../oci/event.ts";
import { originOf } from "./auth/challenge.ts";
import type { Context } from "./context.ts";

/** The most characters of a header that go into events. */
const maxLength = 255;

/** Who caused what, by this request. */
export function eventOrigin({ request, url, registry, access, address, requestId }: Context): Origin {
  const publicUrl = originOf(registry.settings, url, request.headers);
  return {
    actor: access.account,
    address,
    requestId,
    method: request.method,
    host: publicUrl.slice(publicUrl.indexOf("//") + 2, maxLength),
    userAgent: (request.headers.get("User-Agent") ?? "").slice(0, maxLength),
    url: publicUrl,
    instance: registry.instance,
  };
}
