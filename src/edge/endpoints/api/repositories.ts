/** `/api/v1/repositories` */
import type { repositories } from "../../../contract/repositories.ts";
import { failure } from "../../../oci/errors.ts";
import { verbs } from "../../../oci/grant.ts";
import { changeRepository, deleteRepository, listRepositories } from "../../../registry/repositories.ts";
import type { ListedRepository } from "../../../rpc/api.ts";
import type { RepositorySummary } from "../../../rpc/ledger-views.ts";
import { formatDay } from "../../../units.ts";
import { pullGrants } from "../../auth/authorise.ts";
import { type Access, eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { accountsView } from "./facts.ts";

/** For how many tags the pulls are reported at most. */
const maxTagPulls = 100;

function view({ name, visibility, description, pulls, lastPulledAtMs, usedDay }: ListedRepository) {
  return {
    name,
    visibility,
    description,
    pulls,
    ...(lastPulledAtMs === null ? {} : { lastPulledAt: new Date(lastPulledAtMs).toISOString() }),
    ...(usedDay === null ? {} : { lastUsed: formatDay(usedDay) }),
  };
}

function summaryView(access: Access, { pushedAtMs, pushedBy, ...summary }: RepositorySummary) {
  return {
    ...summary,
    ...accountsView(access, pushedBy === undefined ? {} : { pushedBy }),
    ...(pushedAtMs === undefined ? {} : { pushedAt: new Date(pushedAtMs).toISOString() }),
  };
}

export const repositoryHandlers: HandlersOf<typeof repositories> = {
  "/repositories": {
    GET: async (call) => {
      const { registry, query, page } = call;
      const mayPull = await pullGrants(call);
      const { entries, more, last } = await listRepositories(registry, query.query ?? "", page, mayPull);
      return { status: 200, body: { repositories: entries.map(view) }, next: more ? last : undefined };
    },
  },
  "/repositories/{name}": {
    GET: async ({ registry, repository, access }) => {
      const catalog = registry.catalog();
      const [listed, tags, summary] = await Promise.all([
        catalog.repository(repository),
        catalog.tagPulls(repository, maxTagPulls),
        registry.ledger(repository).summary(),
      ]);
      if (listed === undefined || summary === undefined) return failure("NAME_UNKNOWN", { repository });
      const tagPulls = tags.map(({ tag, pulls, lastPulledAtMs }) => {
        return { tag, pulls, lastPulledAt: new Date(lastPulledAtMs).toISOString() };
      });
      // Whoever is here may pull, if only because it is public.
      const may = verbs.filter((verb) => verb === "pull" || access.may(verb, repository));
      return { status: 200, body: { ...view(listed), ...summaryView(access, summary), may, tagPulls } };
    },

    PATCH: async (call) => {
      const { registry, repository, body: change } = call;
      const changed = await changeRepository(registry, repository, change, eventOrigin(call));
      if (!changed.ok) return changed;
      return { status: 200, body: changed.info, audited: { detail: JSON.stringify(change) } };
    },

    DELETE: async (call) => {
      const deleted = await deleteRepository(call.registry, call.repository, eventOrigin(call));
      return deleted.ok ? { status: 202 } : deleted;
    },
  },
};
