/** `/restorable`: what was deleted and can come back. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count } from "./schemas.ts";

/** What can come back of a repository. */
export const restorableIn = v.object({
  name: v.string(),
  count: v.pipe(count, v.description("How many manifests of it can be restored.")),
  manifests: v.pipe(
    v.array(
      v.object({
        digest: v.string(),
        size: count,
        tags: v.pipe(v.array(v.string()), v.description("Tags that went with it, 50 at most.")),
      }),
    ),
    v.description("The first 50 of them."),
  ),
});

export const restorable = {
  "/restorable": {
    name: "restorable",
    GET: {
      id: "restorable",
      summary: "Lists what was deleted and can come back",
      details:
        "What a collection with `now` ends. Repositories with nothing of that kind are left out, so that a page may be empty although there is another. At most 500 repositories are looked at for a page.",
      access: "administrator",
      page: { most: 500, last: "text" },
      answers: {
        200: {
          description: "A page of repositories",
          body: v.object({ repositories: v.array(restorableIn) }),
        },
      },
    },
  },
} as const satisfies Resource;
