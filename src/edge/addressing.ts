/**
 * Which repository a request is about: a local one, or one that stands for a repository of an upstream. Everything else
 * (authorisation, challenges, events, the audit log) sees the canonical name only.
 */
import { parseOrigin } from "../oci/address.ts";
import { failure, type Result } from "../oci/errors.ts";
import { parseRepositoryName } from "../oci/reference.ts";
import { type Addressed, addressByAlias, addressByName } from "../oci/upstream.ts";
import type { Settings } from "../settings/settings.ts";
import { forwardedHosts } from "./auth/authorise.ts";
import type { Context } from "./context.ts";

/** What a request is about. `namespace`: the value of `?ns=`, if that named an upstream. */
export type Found = { addressed: Addressed; namespace?: string };

/**
 * The repository that a request to `/v2` is about.
 *
 * containerd adds `?ns=` with the name of the registry that it looks for to each request to a mirror, also where the
 * mirror is that registry itself. Errors: `NAME_INVALID`; `UPSTREAM_UNKNOWN` where `ns` is neither this registry nor an
 * upstream.
 */
export function addressOf(
  { registry: { settings }, request, url }: Pick<Context, "registry" | "request" | "url">,
  name: string,
): Result<Found> {
  const repository = parseRepositoryName(name);
  if (repository === undefined) return failure("NAME_INVALID", { name });
  if (settings.upstreams.length === 0) return { ok: true, addressed: { repository } };
  const namespace = url.searchParams.get("ns");
  if (namespace === null || isOwnName(settings, url, request.headers, namespace)) {
    const addressed = addressByName(settings.upstreams, repository);
    return addressed === undefined ? failure("NAME_INVALID", { name }) : { ok: true, addressed };
  }
  const addressed = addressByAlias(settings.upstreams, namespace, repository);
  if (addressed !== undefined) return { ok: true, addressed, namespace };
  const isRead = request.method === "GET" || request.method === "HEAD";
  return failure(isRead ? "UPSTREAM_UNKNOWN" : "UPSTREAM_READ_ONLY", { ns: namespace.slice(0, 255) });
}

/** Whether a name, perhaps with a port, is one that clients have for this registry. */
function isOwnName(settings: Settings, url: URL, headers: Headers, namespace: string): boolean {
  const asked = parseOrigin(`http://${namespace}`);
  if (asked === undefined) return false;
  const { publicUrl, ownNames } = settings;
  const hosts = [url.host, publicUrl === undefined ? "" : new URL(publicUrl).host];
  const names = [...ownNames, ...forwardedHosts(settings, headers)];
  return hosts.includes(asked.host) || names.includes(asked.hostname);
}
