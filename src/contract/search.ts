/** `/search`: finding repositories and tags. */
import * as v from "valibot";
import { contentKinds } from "../oci/manifest-summary.ts";
import type { Resource } from "./operation.ts";
import { listedRepository, visibility } from "./repositories.ts";
import { count, must, time } from "./schemas.ts";

/** The orders of what is found. */
const searchSorts = ["relevance", "name", "pushed", "pulled", "pulls", "size"] as const;

/** A repository that was found. */
const foundRepository = v.object({
  ...listedRepository.entries,
  tags: count,
  size: v.pipe(count, v.description("The bytes of its content, each blob counted once.")),
  pushedAt: v.optional(time),
  pushedBy: v.optional(v.string()),
  kinds: v.array(v.picklist(contentKinds)),
  platforms: v.array(v.string()),
});

/** One of {@link foundRepository}. */
export type FoundRepository = v.InferOutput<typeof foundRepository>;

const found = v.object({
  repositories: v.array(foundRepository),
  tags: v.pipe(
    v.array(v.object({ repository: v.string(), tag: v.string(), digest: v.string() })),
    v.description("With `type=tag`, and for a text with a colon."),
  ),
});

export const search = {
  "/search": {
    name: "search",
    GET: {
      id: "search",
      summary: "Finds repositories and tags that the caller may pull",
      details:
        "A change is found within 10 s. Words of three letters and more are found anywhere in names and descriptions, shorter ones where a part of a name begins. `name:tag` and `sha256:…` find tags by their beginning.",
      access: "everybody",
      query: {
        q: v.optional(v.pipe(v.string(), v.maxLength(200), v.description("What to find; without it, all."))),
        type: v.optional(must("repository or tag", v.picklist(["repository", "tag"]))),
        kind: v.optional(must(`one of ${contentKinds.join(", ")}`, v.picklist(contentKinds))),
        platform: v.optional(v.pipe(v.string(), v.description("As `linux/arm64`."))),
        visibility: v.optional(must("public or private", visibility)),
        sort: v.optional(must(`one of ${searchSorts.join(", ")}`, v.picklist(searchSorts))),
      },
      page: { most: 200, last: "text" },
      answers: { 200: { description: "A page of what was found", body: found } },
    },
  },
  "/search/rebuild": {
    name: "search-rebuild",
    POST: {
      id: "rebuildSearch",
      summary: "Has all repositories read again for the search",
      details: "It goes on after the answer. Until it is through, the search finds what it found before.",
      access: "administrator",
      audit: { action: "search.rebuild", target: "*" },
      answers: { 202: { description: "Begun" } },
    },
  },
} as const satisfies Resource;
