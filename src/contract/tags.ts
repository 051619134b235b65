/** `/repositories/{name}/tags`: what tags point at, how they moved, and putting them back. */
import * as v from "valibot";
import { tagOrders } from "../oci/tag-version.ts";
import { manifestFacts } from "./manifests.ts";
import type { Resource } from "./operation.ts";
import { count, digest, must, time } from "./schemas.ts";

/** A tag as it is listed, with what is known of its manifest. */
export const tagEntry = v.object({
  tag: v.string(),
  ...manifestFacts,
  updatedAt: v.pipe(time, v.description("When the tag was pointed at this manifest.")),
  updatedBy: v.optional(
    v.pipe(
      v.string(),
      v.description(
        "Who did that. Missing once the history of the tag is forgotten, and for callers without a credential.",
      ),
    ),
  ),
});

/** A tag with how much refers to its manifest. */
const countedTag = v.object({
  ...tagEntry.entries,
  referrers: v.optional(
    v.pipe(
      v.record(v.string(), count),
      v.description("How many signatures, SBOMs and others there are; with `sort` or `query`."),
    ),
  ),
});

/** A tag, and what else leads to its manifest. */
export const tagDetails = v.object({
  ...tagEntry.entries,
  otherTags: v.pipe(
    v.array(v.string()),
    v.description("The other tags that point at the manifest, of the first 10,000."),
  ),
  indexes: v.pipe(v.array(v.string()), v.description("The indexes that list it, the first 100.")),
});

/** A move of a tag. */
export const tagMove = v.object({
  sequence: count,
  time,
  actor: v.pipe(v.string(), v.description("Who moved it; empty for callers without a credential.")),
  reason: v.optional(v.pipe(v.string(), v.description("Why, where that was said."))),
  from: v.pipe(
    v.nullable(v.string()),
    v.description("What it pointed at before; null where it did not exist."),
  ),
  to: v.pipe(v.nullable(v.string()), v.description("What it points at since; null where it was deleted.")),
});

/** What of a tag's history to put back. */
export const tagRestore = v.strictObject({
  digest: v.exactOptional(v.pipe(digest, v.description("A digest that the tag pointed at."))),
  sequence: v.exactOptional(
    must(
      "a sequence number of the history",
      v.pipe(
        v.number(),
        v.integer(),
        v.minValue(1),
        v.maxValue(Number.MAX_SAFE_INTEGER),
        v.description("The number of a move: the tag goes back to what it led to."),
      ),
    ),
  ),
});

export const tags = {
  "/repositories/{name}/tags": {
    name: "tag-list",
    GET: {
      id: "describeTags",
      summary: "Lists tags with what they point at, by name",
      details: "Sorted or searched, without the tags that cosign makes for its own manifests.",
      access: { repository: "pull" },
      query: {
        query: v.optional(
          v.pipe(v.string(), v.description("Only those with this in their name; case does not count.")),
        ),
        sort: v.optional(
          must(
            `one of ${tagOrders.join(", ")}`,
            v.pipe(
              v.picklist(tagOrders),
              v.description("The latest version, push, day of use or largest size first; or by name."),
            ),
          ),
        ),
      },
      page: { most: 1000, last: "text" },
      answers: { 200: { description: "A page of tags", body: v.object({ tags: v.array(countedTag) }) } },
    },
  },
  "/repositories/{name}/tags/{tag}": {
    name: "tag-details",
    GET: {
      id: "getTag",
      summary: "Says what a tag points at, and what else leads there",
      access: { repository: "pull" },
      answers: { 200: { description: "The tag", body: tagDetails } },
    },
  },
  "/repositories/{name}/tags/{tag}/history": {
    name: "tag-history",
    GET: {
      id: "tagHistory",
      summary: "Lists the moves of a tag, newest first",
      details: "`last` is the `sequence` after which the page begins. Moves are kept for TAG_HISTORY_DAYS.",
      access: { repository: "pull", byGrant: true },
      page: { most: 1000, last: "integer" },
      answers: { 200: { description: "A page of moves", body: v.object({ history: v.array(tagMove) }) } },
    },
  },
  "/repositories/{name}/tags/{tag}/restore": {
    name: "tag-restore",
    POST: {
      id: "restoreTag",
      summary: "Puts a tag back",
      details:
        "To the `digest` that it pointed at, to what the move `sequence` led to, or, without a body, to what was before what is now.",
      access: { repository: "push" },
      audit: { action: "tag.restore", target: "{name}:{tag}" },
      body: tagRestore,
      isBodyOptional: true,
      errors: ["TAG_IMMUTABLE"],
      answers: {
        200: {
          description: "What it points at now",
          body: v.object({ tag: v.string(), digest: v.string(), sequence: count }),
        },
      },
    },
  },
} as const satisfies Resource;
