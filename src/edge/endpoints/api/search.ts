/** `/api/v1/search` */
import type { search as searchContract } from "../../../contract/search.ts";
import { search } from "../../../registry/search.ts";
import type { FoundRepository } from "../../../rpc/search-api.ts";
import { formatDay } from "../../../units.ts";
import { pullGrants } from "../../auth/authorise.ts";
import type { Access } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { accountsView } from "./facts.ts";

export const searchHandlers: HandlersOf<typeof searchContract> = {
  "/search": {
    GET: async (call) => {
      const { registry, access, query, page } = call;
      const { q = "", type, kind, platform, visibility, sort = "relevance" } = query;
      const wanted = { text: q, type, kind, platform, visibility, order: sort, ...page };
      const readable = { patterns: pullPatterns(access), mayPull: await pullGrants(call) };
      const found = await search(registry, wanted, readable);
      if (!found.ok) return found;
      const { repositories, tags, next } = found;
      return {
        status: 200,
        body: { repositories: repositories.map((entry) => view(access, entry)), tags },
        next,
      };
    },
  },
  "/search/rebuild": {
    POST: async ({ registry }) => {
      await registry.search()?.rebuild();
      return { status: 202 };
    },
  },
};

/** The patterns of what the caller may pull, by sets of grants. */
function pullPatterns({ grantSets }: Access): string[][] {
  return grantSets.map((grants) =>
    grants.filter(({ verbs }) => verbs.includes("pull")).map(({ repository }) => repository),
  );
}

function view(access: Access, entry: FoundRepository) {
  const { sizeBytes, pushedAtMs, pushedBy, usedDay, lastPulledAtMs, ...rest } = entry;
  return {
    ...rest,
    size: sizeBytes,
    ...(pushedAtMs === null ? {} : { pushedAt: new Date(pushedAtMs).toISOString() }),
    ...accountsView(access, pushedBy === null ? {} : { pushedBy }),
    ...(usedDay === null ? {} : { lastUsed: formatDay(usedDay) }),
    ...(lastPulledAtMs === null ? {} : { lastPulledAt: new Date(lastPulledAtMs).toISOString() }),
  };
}
