/** `/api/v1/upstreams` */
import type { UpstreamEntry, upstreams } from "../../../contract/upstreams.ts";
import { failure } from "../../../oci/errors.ts";
import type { Upstream } from "../../../oci/upstream.ts";
import type { Registry } from "../../../registry/registry.ts";
import {
  checkUpstream,
  evict,
  repositoriesBelow,
  upstreamOf,
  upstreamState,
} from "../../../registry/upstreams/admin.ts";
import type { UpstreamState } from "../../../rpc/upstream-api.ts";
import { eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";

function view({ clock }: Registry, upstream: Upstream, state: UpstreamState): UpstreamEntry {
  const { id, url, aliases, repositories, visibility, credential, isOffline } = upstream;
  const now = clock.now();
  const isDown = state.downUntilMs > now;
  const asked = state.limitedUntilMs > now ? "limited" : isDown ? "down" : "up";
  return {
    id,
    url,
    aliases,
    repositories,
    visibility,
    hasCredential: credential !== undefined,
    state: isOffline ? "offline" : asked,
  };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** The names of repositories that were pushed under the id of an upstream. */
async function reservedNames(registry: Registry, upstream: Upstream): Promise<string[]> {
  const below = await repositoriesBelow(registry, upstream);
  return below.filter(({ isCached }) => !isCached).map(({ name }) => name);
}

export const upstreamHandlers: HandlersOf<typeof upstreams> = {
  "/upstreams": {
    GET: async ({ registry }) => {
      const entries = registry.settings.upstreams.map(async (upstream) =>
        view(registry, upstream, await upstreamState(registry, upstream)),
      );
      return { status: 200, body: { upstreams: await Promise.all(entries) } };
    },
  },
  "/upstreams/{upstream}": {
    GET: async ({ registry, params }) => {
      const upstream = upstreamOf(registry, params.upstream);
      if (upstream === undefined) return failure("UPSTREAM_ID_UNKNOWN");
      const [state, below] = await Promise.all([
        upstreamState(registry, upstream),
        repositoriesBelow(registry, upstream),
      ]);
      const { fetches, lastAnswerAtMs, lastFailure, rateLimit } = state;
      const { atMs, ...limits } = rateLimit ?? { limit: 0, remaining: 0, atMs: 0 };
      return {
        status: 200,
        body: {
          ...view(registry, upstream, state),
          fetches,
          ...(lastAnswerAtMs === 0 ? {} : { lastAnswerAt: time(lastAnswerAtMs) }),
          ...(lastFailure === undefined
            ? {}
            : { lastFailure: { at: time(lastFailure.atMs), detail: lastFailure.detail } }),
          ...(rateLimit === undefined ? {} : { rateLimit: { ...limits, at: time(atMs) } }),
          cached: below.filter(({ isCached }) => isCached).length,
          reserved: below.filter(({ isCached }) => !isCached).map(({ name }) => name),
        },
      };
    },
  },
  "/upstreams/{upstream}/check": {
    POST: async ({ registry, params, body }) => {
      const upstream = upstreamOf(registry, params.upstream);
      if (upstream === undefined) return failure("UPSTREAM_ID_UNKNOWN");
      const [checked, reserved] = await Promise.all([
        checkUpstream(registry, upstream, body.repository),
        reservedNames(registry, upstream),
      ]);
      const { isReachable: reachable, detail, milliseconds } = checked;
      return { status: 200, body: { reachable, detail, milliseconds, reserved } };
    },
  },
  "/upstreams/{upstream}/evict": {
    POST: async (call) => {
      const { registry, params, body } = call;
      const upstream = upstreamOf(registry, params.upstream);
      if (upstream === undefined) return failure("UPSTREAM_ID_UNKNOWN");
      const { repository, unusedDays } = body;
      const evicted = await evict(registry, upstream, repository, unusedDays, eventOrigin(call));
      const { manifests, blobs, bytes } = evicted;
      const detail = `${repository ?? "all"}: ${manifests} manifests, ${bytes} bytes`;
      return { status: 200, body: { manifests, blobs, bytes }, audited: { detail } };
    },
  },
};
