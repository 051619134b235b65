/**
 * What events tell of the request that caused them.
 */
import type { Origin } from "../oci/event.ts";
import type { Context } from "./context.ts";

/** The most characters of a header that go into events. */
const maxLength = 255;

/**
 * Who caused what, by this request. Where the registry is, its settings say, and nothing that the client sent: who
 * listens may pull what the event names from there.
 */
export function eventOrigin({ request, registry, access, address, requestId }: Context): Origin {
  const { publicUrl } = registry.settings;
  return {
    actor: access.account,
    address,
    requestId,
    method: request.method,
    host: publicUrl === undefined ? "" : new URL(publicUrl).host,
    userAgent: (request.headers.get("User-Agent") ?? "").slice(0, maxLength),
    url: publicUrl ?? "",
    instance: registry.instance,
  };
}
