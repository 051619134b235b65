/** `/v2/_catalog`: the repositories, a page at a time. Source: Docker Registry HTTP API V2, "Listing Repositories". */
import { failure } from "../../oci/errors.ts";
import { parsePage } from "../../oci/http.ts";
import { listRepositories } from "../../registry/repositories.ts";
import { pullGrants } from "../auth/authorise.ts";
import type { Answer, Context } from "../context.ts";
import { jsonReply, linkHeader } from "../respond.ts";

/** Lists, in ASCII order, the repositories that the caller may pull. */
export async function catalog(context: Context): Promise<Answer> {
  const { registry, url } = context;
  const page = parsePage(url.searchParams);
  if (page === undefined) return failure("PAGE_INVALID", { n: url.searchParams.get("n") });
  const listed = await listRepositories(registry, "", page, await pullGrants(context));
  if (!listed.ok) return listed;
  const { entries, more, last } = listed;
  const names = entries.map((entry) => entry.name);
  return jsonReply({ repositories: names }, linkHeader(url, page, more, last));
}
