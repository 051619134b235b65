/** Finding repositories and tags. */
import { failure, type Result } from "../oci/errors.ts";
import type { ContentKind } from "../oci/manifest-summary.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Visibility } from "../rpc/api.ts";
import type { FoundRepository, FoundTag, SearchOrder, SearchQuery } from "../rpc/search-api.ts";
import type { Registry } from "./registry.ts";
import { listRepositories } from "./repositories.ts";

/** What a caller searches for. */
export type Wanted = {
  text: string;
  type: "repository" | "tag" | undefined;
  kind: ContentKind | undefined;
  platform: string | undefined;
  visibility: Visibility | undefined;
  order: SearchOrder;
  /** Where the page begins; empty for the first. */
  last: string;
  limit: number;
};

/** What was found. `next`: where the next page begins. */
export type Found = { repositories: FoundRepository[]; tags: FoundTag[]; next: string | undefined };

/** What a caller may pull: as patterns of names, all of whose sets must have one that matches, and as a predicate. */
export type Readable = { patterns: string[][]; mayPull: (name: RepositoryName) => boolean };

/** How many tags are shown beside repositories. */
const maxTagsBeside = 20;

/** How far pages go, in entries: the ones before are read for each. Who finds more asks for something narrower. */
const maxOffset = 100_000;

/**
 * A page of repositories, or of tags, and for the first page of repositories the tags that the text names as well.
 * Error: `PAGE_INVALID`.
 */
export async function search(registry: Registry, wanted: Wanted, readable: Readable): Promise<Result<Found>> {
  const object = registry.search();
  if (object === undefined) return searchCatalog(registry, wanted, readable);
  const { type, last, limit, ...rest } = wanted;
  const offset = /^\d{1,9}$/.test(last) ? Number(last) : 0;
  if (offset > maxOffset) return failure("PAGE_INVALID");
  const query: SearchQuery = { ...rest, readable: readable.patterns, offset, limit };
  if (type === "tag") {
    const { entries, next } = await object.findTags(query);
    return { ok: true, repositories: [], tags: entries, next: placeOf(next) };
  }
  const showsTags = wanted.text.includes(":") && offset === 0 && type === undefined;
  const [repositories, tags] = await Promise.all([
    object.findRepositories(query),
    showsTags ? object.findTags({ ...query, limit: maxTagsBeside }) : undefined,
  ]);
  return {
    ok: true,
    repositories: repositories.entries,
    tags: tags?.entries ?? [],
    next: placeOf(repositories.next),
  };
}

/** Where the next page begins; `undefined` after the last one that there may be. */
function placeOf(next: number | undefined): string | undefined {
  return next === undefined || next > maxOffset ? undefined : String(next);
}

/** Without an object that finds them, repositories are found in the list of the catalog. */
async function searchCatalog(registry: Registry, wanted: Wanted, readable: Readable): Promise<Result<Found>> {
  const { text, last, limit, visibility } = wanted;
  const page = await listRepositories(registry, text, { last, limit }, readable.mayPull);
  if (!page.ok) return page;
  const repositories = page.entries
    .filter((entry) => visibility === undefined || entry.visibility === visibility)
    .map((entry) => ({
      ...entry,
      tags: 0,
      sizeBytes: 0,
      pushedAtMs: null,
      pushedBy: null,
      kinds: [],
      platforms: [],
    }));
  return { ok: true, repositories, tags: [], next: page.more ? page.last : undefined };
}
