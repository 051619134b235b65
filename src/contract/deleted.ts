/** `/deleted`: what was deleted and can be restored, and restoring a repository. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, must, time } from "./schemas.ts";

/** Something that was deleted and can be restored. */
export const deletion = v.object({
  what: v.pipe(
    v.picklist(["repository", "manifest", "tag"]),
    v.description("A `repository` as a whole, a `manifest`, or a `tag` alone."),
  ),
  generation: v.optional(
    v.pipe(count, v.description("Of a repository: the number of its content, which restoring takes.")),
  ),
  digest: v.optional(v.pipe(v.string(), v.description("That of the manifest, or what the tag pointed at."))),
  size: v.optional(v.pipe(count, v.description("Of a manifest."))),
  tags: v.optional(
    v.pipe(v.array(v.string()), v.description("Tags that were deleted with a manifest, 50 at most.")),
  ),
  tag: v.optional(v.string()),
  deletedAt: time,
  actor: v.pipe(v.string(), v.description("Who deleted it; empty if that is not known.")),
  until: v.pipe(time, v.description("Until when it can be restored.")),
});

/** One of {@link deletion}. */
export type Deletion = v.InferOutput<typeof deletion>;

/** What was deleted in a repository. */
export const deletedIn = v.object({
  name: v.string(),
  deleted: v.pipe(v.array(deletion), v.description("The first 50.")),
  more: v.pipe(v.boolean(), v.description("Whether there are more.")),
});

/** What is to be restored of a repository. */
export const repositoryRestore = v.strictObject({
  generation: v.exactOptional(
    must(
      "the number of a generation",
      v.pipe(
        v.number(),
        v.integer(),
        v.minValue(1),
        v.maxValue(Number.MAX_SAFE_INTEGER),
        v.description("The generation to restore; left out, the one that was deleted last."),
      ),
    ),
  ),
});

export const deletedContent = {
  "/deleted": {
    name: "deleted",
    GET: {
      id: "listDeleted",
      summary: "Lists what was deleted and can be restored, by repository",
      details:
        "A collection with `now` ends that for repositories and manifests. Repositories in which nothing was deleted are left out, so a page may be empty although there is another. At most 500 repositories are looked at for a page.",
      access: "administrator",
      page: { most: 500, last: "text" },
      answers: {
        200: {
          description: "A page of repositories",
          body: v.object({ repositories: v.array(deletedIn) }),
        },
      },
    },
  },
  "/repositories/{name}/deleted": {
    name: "repository-deleted",
    GET: {
      id: "listDeletedIn",
      summary: "Lists what was deleted in a repository and can be restored",
      details:
        "First the repository itself, if it was deleted as a whole; then manifests; then tags whose manifest is there, the last deleted first.",
      access: { repository: "push" },
      page: { most: 1000, last: "text" },
      answers: {
        200: { description: "A page of deletions", body: v.object({ deleted: v.array(deletion) }) },
      },
    },
  },
  "/repositories/{name}/restore": {
    name: "repository-restore",
    POST: {
      id: "restoreRepository",
      summary: "Restores a repository that was deleted",
      details:
        "Within GC_GRACE of its deletion. Manifests and tags that exist meanwhile stay as they are. Visibility and description are restored only if nothing was pushed since. A large repository comes back in batches after the answer, with `isComplete` false.",
      access: { repository: "admin" },
      audit: { action: "repository.restore", target: "{name}" },
      body: repositoryRestore,
      isBodyOptional: true,
      answers: {
        200: {
          description: "It is restored, or is being restored",
          body: v.object({ name: v.string(), generation: count, deletedAt: time, isComplete: v.boolean() }),
        },
      },
      errors: ["DELETION_UNKNOWN"],
    },
  },
} as const satisfies Resource;
