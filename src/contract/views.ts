/** What pages about a repository show: everything about a tag or manifest in one answer, and the moves of all tags. */
import * as v from "valibot";
import { imageConfig, manifest, manifestFacts } from "./manifests.ts";
import type { Resource } from "./operation.ts";
import { count, verb } from "./schemas.ts";
import { tagEntry, tagMove } from "./tags.ts";

const annotations = v.record(v.string(), v.string());

/** Something that a manifest lists. */
const listed = v.object({
  digest: v.string(),
  mediaType: v.string(),
  size: count,
  annotations,
  platform: v.optional(v.string()),
});

/** How a layer was made. */
const layer = v.object({
  command: v.optional(v.pipe(v.string(), v.description("`created_by` of the history of its config."))),
  comment: v.optional(v.string()),
  isEmpty: v.pipe(v.boolean(), v.description("Whether it is a setting alone, and no layer.")),
  digest: v.optional(v.string()),
  mediaType: v.optional(v.string()),
  size: count,
  annotations,
});

const referrerFields = {
  ...manifestFacts,
  by: v.pipe(
    v.picklist(["subject", "tag", "index"]),
    v.description("How it refers: by its subject, by a tag of cosign, or beside the manifest in an index."),
  ),
  tag: v.optional(v.string()),
  annotations,
  layers: v.array(listed),
};

/** A referrer of a referrer has referrers as well, three deep at most. */
const referrer = v.object({
  ...referrerFields,
  referrers: v.array(
    v.object({
      ...referrerFields,
      referrers: v.array(v.object(referrerFields)),
    }),
  ),
});

/** What is in a manifest, and what refers to it. */
const content = v.object({
  ...manifest.entries,
  indexes: v.pipe(v.array(v.string()), v.description("The indexes that list it, the first 100.")),
  annotations,
  config: v.optional(imageConfig),
  layers: v.pipe(
    v.array(layer),
    v.description("The layers in order, each with the command that made it, and settings in between."),
  ),
  children: v.pipe(
    v.array(v.object({ ...listed.entries, manifest: v.optional(v.object(manifestFacts)) })),
    v.description("What an index lists, the first 500. `manifest` is missing if it does not exist here."),
  ),
  referrers: v.pipe(
    v.array(referrer),
    v.description(
      "Signatures, SBOMs, attestations and others: at most 100 of a manifest, 200 in all, and 4 MiB of manifests.",
    ),
  ),
  text: v.optional(v.pipe(v.string(), v.description("The manifest itself, if it is of at most 256 KiB."))),
});

/** What a tag or a digest leads to. */
export const reference = v.object({
  tag: v.optional(tagEntry),
  may: v.pipe(v.array(verb), v.description("What the caller may do with the repository.")),
  granted: v.pipe(v.boolean(), v.description("As of the repository: whether a grant allows `pull`.")),
  content,
  image: v.optional(
    v.pipe(
      content,
      v.description("Of an index: the image for the platform that was asked for, or its first."),
    ),
  ),
});

export const views = {
  "/repositories/{name}/references/{reference}": {
    name: "reference",
    GET: {
      id: "getReference",
      summary: "Says all about a tag or manifest: config, layers, platforms, referrers",
      details: "What a page about it shows, in one answer. It is no pull.",
      access: { repository: "pull" },
      query: {
        platform: v.optional(v.pipe(v.string(), v.description("A platform of the index, as `linux/arm64`."))),
      },
      answers: { 200: { description: "What it leads to", body: reference } },
    },
  },
  "/repositories/{name}/history": {
    name: "repository-history",
    GET: {
      id: "repositoryHistory",
      summary: "Lists the moves of all tags, newest first",
      details: "`last` is the `sequence` after which the page begins. Moves are kept for TAG_HISTORY_DAYS.",
      access: { repository: "pull", byGrant: true },
      page: { most: 1000, last: "integer" },
      answers: {
        200: {
          description: "A page of moves",
          body: v.object({ history: v.array(v.object({ tag: v.string(), ...tagMove.entries })) }),
        },
      },
    },
  },
  "/repositories/{name}/untagged": {
    name: "repository-untagged",
    GET: {
      id: "listUntagged",
      summary: "Lists manifests that no tag, index or subject leads to, by digest",
      access: { repository: "pull", byGrant: true },
      page: { most: 1000, last: "text" },
      answers: {
        200: { description: "A page of manifests", body: v.object({ manifests: v.array(manifest) }) },
      },
    },
  },
} as const satisfies Resource;
