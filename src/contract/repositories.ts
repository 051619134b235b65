/** `/repositories`: repositories as wholes. */
import * as v from "valibot";
import { contentKinds } from "../oci/manifest-summary.ts";
import type { Resource } from "./operation.ts";
import { amount, count, day, must, time, verb } from "./schemas.ts";

const maxDescriptionLength = 1000;
const maxReadmeLength = 65_536;

/** Who may pull a repository. */
export const visibility = v.pipe(
  v.picklist(["private", "public"]),
  v.description("`public` or `private`. What is public everybody may pull."),
);

/** Whether a repository stands for one of an upstream, and whether there still is that upstream. */
const cached = v.pipe(
  v.picklist(["upstream", "orphaned"]),
  v.description(
    "Only of a cached repository: whether its upstream is in `UPSTREAMS`, or no more. Who may pull it follows from there.",
  ),
);

const settings = { name: v.string(), visibility, description: v.string(), cached: v.optional(cached) };

const listed = {
  ...settings,
  pulls: v.pipe(count, v.description("How often a manifest of it was pulled.")),
  lastPulledAt: v.optional(time),
  lastUsed: v.optional(
    v.pipe(
      day,
      v.description("The last day on which anything of it was used: pulled, or asked for by a client."),
    ),
  ),
};

/** What can be changed of a repository, and what it is called. */
export const repository = v.object(settings);

/** A repository as it is listed. */
export const listedRepository = v.object(listed);

/** One of {@link listedRepository}. */
export type ListedRepository = v.InferOutput<typeof listedRepository>;

/** A repository, and which of its tags are pulled most. */
export const repositoryDetails = v.object({
  ...listed,
  tags: count,
  manifests: count,
  logical: v.pipe(amount, v.description("All content, counted as often as it is referenced.")),
  stored: v.pipe(amount, v.description("All content, counted once.")),
  pushedAt: v.optional(v.pipe(time, v.description("When a manifest was pushed last."))),
  pushedBy: v.optional(v.string()),
  kinds: v.pipe(v.array(v.picklist(contentKinds)), v.description("The kinds of what is tagged.")),
  platforms: v.pipe(v.array(v.string()), v.description("The platforms of what is tagged.")),
  may: v.pipe(v.array(verb), v.description("What the caller may do with it.")),
  readme: v.pipe(v.string(), v.description("Its README, in Markdown; empty if there is none.")),
  granted: v.pipe(
    v.boolean(),
    v.description(
      "Whether a grant of the caller allows `pull`. Who may pull only because it is public sees no history, and no list of all manifests.",
    ),
  ),
  tagPulls: v.pipe(
    v.array(v.object({ tag: v.string(), pulls: count, lastPulledAt: time })),
    v.description("The 100 tags that are pulled most."),
  ),
});

/** A repository that was deleted. */
const deletedRepository = v.object({
  name: v.string(),
  generation: v.pipe(count, v.description("The number of what was deleted, which restoring takes.")),
  until: v.pipe(time, v.description("Until when it can be restored.")),
  lost: v.pipe(
    v.array(count),
    v.description(
      "The generations deleted before that can be restored no more: 20 are kept, and fewer while the repository's database is larger than half of LEDGER_LIMIT.",
    ),
  ),
});

/** What is to be changed of a repository. */
export const repositoryPatch = v.strictObject({
  visibility: v.exactOptional(must("public or private", visibility)),
  description: v.exactOptional(
    must(
      `a text of at most ${maxDescriptionLength} characters`,
      v.pipe(v.string(), v.maxLength(maxDescriptionLength), v.description("At most 1,000 characters.")),
    ),
  ),
  readme: v.exactOptional(
    must(
      `a text of at most ${maxReadmeLength} characters`,
      v.pipe(
        v.string(),
        v.maxLength(maxReadmeLength),
        v.description("Markdown, at most 65,536 characters. Without text, there is no README."),
      ),
    ),
  ),
});

export const repositories = {
  "/repositories": {
    name: "repositories",
    GET: {
      id: "searchRepositories",
      summary: "Lists repositories, by name",
      details: "Those that are public, and those that the caller may pull.",
      access: "any account",
      query: {
        query: v.optional(
          v.pipe(
            v.string(),
            v.description("Only those with this in their name or description; case does not count."),
          ),
        ),
      },
      page: { most: 10_000, last: "text" },
      answers: {
        200: {
          description: "A page of repositories",
          body: v.object({ repositories: v.array(listedRepository) }),
        },
      },
    },
  },
  "/repositories/{name}": {
    name: "repository",
    GET: {
      id: "getRepository",
      summary: "Says what a repository is, and which of its tags are pulled most",
      details: "Pulls are up to half a minute behind.",
      access: { repository: "pull" },
      answers: { 200: { description: "The repository", body: repositoryDetails } },
    },
    PATCH: {
      id: "patchRepository",
      summary: "Makes a repository public or private, describes it, or writes its README",
      details: "What is left out stays.",
      access: { repository: "admin" },
      audit: { action: "repository.change", target: "{name}" },
      body: repositoryPatch,
      answers: { 200: { description: "The repository as it is now", body: repository } },
    },
    DELETE: {
      id: "deleteRepository",
      summary: "Deletes a repository with all it holds",
      details:
        "It can be restored within GC_GRACE. A push to its name begins a new repository, at once: a private one without a description.",
      access: { repository: "admin" },
      audit: { action: "repository.delete", target: "{name}" },
      answers: { 202: { description: "Deleted", body: deletedRepository } },
      errors: ["TAG_IMMUTABLE"],
    },
  },
} as const satisfies Resource;
