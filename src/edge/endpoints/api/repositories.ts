/** `/api/v1/repositories` */
import type { repositories } from "../../../contract/repositories.ts";
import { failure } from "../../../oci/errors.ts";
import { parseTag, type RepositoryName } from "../../../oci/reference.ts";
import { addressByName } from "../../../oci/upstream.ts";
import type { Registry } from "../../../registry/registry.ts";
import {
  changeRepository,
  deleteRepository,
  listRepositories,
  visibilityOf,
} from "../../../registry/repositories.ts";
import type { ListedRepository, RepositoryChange, RepositoryInfo, TagPulls } from "../../../rpc/api.ts";
import type { RepositoryOverview } from "../../../rpc/ledger-views.ts";
import { formatDay } from "../../../units.ts";
import { pullGrants } from "../../auth/authorise.ts";
import { type Access, eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { accountsView, verbsOf } from "./facts.ts";

/** For how many tags the pulls are reported at most. */
const maxTagPulls = 100;

function viewSettings({ settings }: Registry, { name, visibility, description, kind }: RepositoryInfo) {
  const isOrphaned = addressByName(settings.upstreams, name)?.cached === undefined;
  const cached = isOrphaned ? ("orphaned" as const) : ("upstream" as const);
  return { name, visibility, description, ...(kind === "cache" ? { cached } : {}) };
}

function view(registry: Registry, repository: ListedRepository) {
  const { pulls, lastPulledAtMs, usedDay } = repository;
  return {
    ...viewSettings(registry, repository),
    pulls,
    ...(lastPulledAtMs === null ? {} : { lastPulledAt: new Date(lastPulledAtMs).toISOString() }),
    ...(usedDay === null ? {} : { lastUsed: formatDay(usedDay) }),
  };
}

function summaryView(access: Access, { pushedAtMs, pushedBy, ...summary }: RepositoryOverview) {
  return {
    ...summary,
    ...accountsView(access, pushedBy === undefined ? {} : { pushedBy }),
    ...(pushedAtMs === undefined ? {} : { pushedAt: new Date(pushedAtMs).toISOString() }),
  };
}

/** What the audit log has of a change: of a README, how long it is. */
function detailOf({ readme, ...change }: RepositoryChange): string {
  return JSON.stringify({ ...change, ...(readme === undefined ? {} : { readmeLength: readme.length }) });
}

/** The pulls of tags that exist: those of others are counted on, and would say which there were. */
async function ofExisting(
  registry: Registry,
  repository: RepositoryName,
  pulls: TagPulls[],
): Promise<TagPulls[]> {
  const tags = pulls.flatMap(({ tag }) => parseTag(tag) ?? []);
  const resolved = await registry.ledger(repository).resolveTags(tags);
  const existing = new Set<string>(tags.filter((_, index) => resolved[index] != null));
  return pulls.filter(({ tag }) => existing.has(tag));
}

export const repositoryHandlers: HandlersOf<typeof repositories> = {
  "/repositories": {
    GET: async (call) => {
      const { registry, query, page } = call;
      const mayPull = await pullGrants(call);
      const listed = await listRepositories(registry, query.query ?? "", page, mayPull);
      if (!listed.ok) return listed;
      const { entries, more, last } = listed;
      return {
        status: 200,
        body: { repositories: entries.map((each) => view(registry, each)) },
        next: more ? last : undefined,
      };
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
      const visibility = visibilityOf(registry.settings, repository, listed);
      const granted = access.may("pull", repository);
      const shown = granted ? tags : await ofExisting(registry, repository, tags);
      const tagPulls = shown.map(({ tag, pulls, lastPulledAtMs }) => {
        return { tag, pulls, lastPulledAt: new Date(lastPulledAtMs).toISOString() };
      });
      const may = verbsOf(access, repository);
      const viewed = view(registry, { ...listed, visibility });
      return { status: 200, body: { ...viewed, ...summaryView(access, summary), may, granted, tagPulls } };
    },

    PATCH: async (call) => {
      const { registry, repository, body: change } = call;
      const changed = await changeRepository(registry, repository, change, eventOrigin(call));
      if (!changed.ok) return changed;
      return {
        status: 200,
        body: viewSettings(registry, changed.info),
        audited: { detail: detailOf(change) },
      };
    },

    DELETE: async (call) => {
      const deleted = await deleteRepository(call.registry, call.repository, eventOrigin(call));
      if (!deleted.ok) return deleted;
      const { generation, untilMs, lost } = deleted;
      const until = new Date(untilMs).toISOString();
      return { status: 202, body: { name: call.repository, generation, until, lost } };
    },
  },
};
