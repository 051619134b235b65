/** `/v2/<name>/tags/list`. distribution-spec: Listing Tags. */
import { failure } from "../../oci/errors.ts";
import { parsePage } from "../../oci/http.ts";
import { listTags } from "../../registry/manifests.ts";
import type { Answer, RepositoryContext } from "../context.ts";
import { jsonReply, linkHeader } from "../respond.ts";

/** Lists the tags of a repository in ASCII order. */
export async function tags({ registry, repository, url, waitUntil }: RepositoryContext): Promise<Answer> {
  const page = parsePage(url.searchParams);
  if (page === undefined) return failure("PAGE_INVALID", { n: url.searchParams.get("n") });
  const listed = await listTags(registry, repository, page, waitUntil);
  if (!listed.ok) return listed;
  const { entries, more } = listed.page;
  return jsonReply({ name: repository, tags: entries }, linkHeader(url, page, more, entries.at(-1)));
}
