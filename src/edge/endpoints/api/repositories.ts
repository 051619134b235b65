/** `/api/v1/repositories`: search, settings and deletion of repositories. */
import type { ListedRepository, RepositoryChange } from "../../../objects/api.ts";
import { failure } from "../../../oci/errors.ts";
import { parsePage } from "../../../oci/http.ts";
import { changeRepository, deleteRepository, listRepositories } from "../../../registry/repositories.ts";
import { audit } from "../../auth/audit.ts";
import { pullGrants, refusalFor } from "../../auth/authorise.ts";
import { type Answer, type Context, eventOrigin, jsonReply } from "../../context.ts";
import { linkHeader } from "../../respond.ts";
import { invalidField, parseRepository, readJson } from "./json-body.ts";

const maxDescriptionLength = 1000;

/** Lists the repositories that the caller may pull and whose name or description contains `query`. */
export async function searchRepositories(context: Context): Promise<Answer> {
  const { registry, url } = context;
  const page = parsePage(url.searchParams);
  if (page === undefined) return { failure: failure("PAGE_INVALID") };
  const query = url.searchParams.get("query") ?? "";
  const { entries, more, last } = await listRepositories(registry, query, page, await pullGrants(context));
  const repositories = entries.map(view);
  return jsonReply({ repositories }, linkHeader(url, page, more, last));
}

/** Of how many tags the pulls are told. */
const maxTagPulls = 100;

/** Says what a repository is, and which of its tags are pulled most. Pulls are up to half a minute behind. */
export async function getRepository(context: Context): Promise<Answer> {
  const named = parseRepository(context.params.name);
  if (!named.ok) return { failure: named };
  const { repository } = named;
  const refusal = await refusalFor(context, repository, "pull");
  if (refusal !== undefined) return refusal;
  const catalog = context.registry.catalog();
  const [listed, tags] = await Promise.all([
    catalog.repository(repository),
    catalog.tagPulls(repository, maxTagPulls),
  ]);
  if (listed === undefined) return { failure: failure("NAME_UNKNOWN", { repository }) };
  return jsonReply({
    ...view(listed),
    tagPulls: tags.map(({ tag, pulls, lastPulledAtMs }) => ({
      tag,
      pulls,
      lastPulledAt: new Date(lastPulledAtMs).toISOString(),
    })),
  });
}

function view({ name, visibility, description, pulls, lastPulledAtMs }: ListedRepository): object {
  return {
    name,
    visibility,
    description,
    pulls,
    ...(lastPulledAtMs === null ? {} : { lastPulledAt: new Date(lastPulledAtMs).toISOString() }),
  };
}

/** Makes a repository public or private, or describes it. */
export async function patchRepository(context: Context): Promise<Answer> {
  const named = parseRepository(context.params.name);
  if (!named.ok) return { failure: named };
  const { repository } = named;
  const refusal = await refusalFor(context, repository, "admin");
  if (refusal !== undefined) return refusal;
  const body = await readJson(context, ["visibility", "description"]);
  if (!body.ok) return { failure: body };
  const { visibility, description } = body.json;
  if (visibility !== undefined && visibility !== "public" && visibility !== "private") {
    return { failure: invalidField("visibility", "public or private") };
  }
  if (
    description !== undefined &&
    (typeof description !== "string" || description.length > maxDescriptionLength)
  ) {
    return { failure: invalidField("description", `a text of at most ${maxDescriptionLength} characters`) };
  }
  const change: RepositoryChange = {};
  if (visibility !== undefined) change.visibility = visibility;
  if (description !== undefined) change.description = description;
  const changed = await changeRepository(context.registry, repository, change, eventOrigin(context));
  if (!changed.ok) return { failure: changed };
  audit(context, {
    action: "repository.change",
    target: repository,
    outcome: "done",
    detail: JSON.stringify(change),
  });
  return jsonReply(changed.info);
}

/** Deletes a repository with all it holds. */
export async function removeRepository(context: Context): Promise<Answer> {
  const named = parseRepository(context.params.name);
  if (!named.ok) return { failure: named };
  const { repository } = named;
  const refusal = await refusalFor(context, repository, "admin");
  if (refusal !== undefined) return refusal;
  const deleted = await deleteRepository(context.registry, repository, eventOrigin(context));
  if (!deleted.ok) return { failure: deleted };
  audit(context, { action: "repository.delete", target: repository, outcome: "done" });
  return { status: 202 };
}
