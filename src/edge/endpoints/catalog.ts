/** `/v2/_catalog`: the repositories, a page at a time. Source: Docker Registry HTTP API V2, "Listing Repositories". */
import { failure } from "../../oci/errors.ts";
import { parsePage } from "../../oci/paging.ts";
import { listRepositories } from "../../registry/manifests.ts";
import { type Answer, type Context, jsonReply } from "../context.ts";
import { linkHeader } from "./link-header.ts";

/** Lists repositories in ASCII order. */
export async function catalog({ registry, url }: Context): Promise<Answer> {
  const page = parsePage(url.searchParams);
  if (page === undefined) return { failure: failure("PAGE_INVALID", { n: url.searchParams.get("n") }) };
  const { entries, more } = await listRepositories(registry, page);
  return jsonReply({ repositories: entries }, linkHeader(url, page, more, entries.at(-1)));
}
