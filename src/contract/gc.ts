/** `/gc`: collection by hand. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, givenCursor, nextCursor, yesOrNo } from "./schemas.ts";

/** What collection freed. */
export const freed = v.object({
  manifests: v.pipe(count, v.description("Manifests that nothing reached for UNTAGGED_TTL.")),
  links: v.pipe(
    count,
    v.description("Blobs that a repository gave up, as nothing referenced them for GC_GRACE."),
  ),
  blobs: v.pipe(count, v.description("Objects that were deleted from the store.")),
  bytes: v.pipe(count, v.description("What they weighed.")),
  uploads: v.pipe(count, v.description("Uploads that were cut short, and whose bytes were given up.")),
});

/** What collection freed. */
export type Freed = v.InferOutput<typeof freed>;

export const gc = {
  "/gc": {
    name: "gc",
    POST: {
      id: "collect",
      summary: "Collects what is due, and says what that freed",
      details:
        "With `now`, which goes into each request of several, what is deleted or unreferenced goes as well, before its grace is over, and cannot be restored ([operations.md](operations.md#a-full-disk)); what a push may rely on stays.",
      access: "administrator",
      audit: { action: ["gc", "gc.now"], target: "*" },
      body: v.strictObject({
        cursor: givenCursor,
        now: v.exactOptional(
          v.pipe(
            yesOrNo,
            v.description("Whether what is deleted or unreferenced goes at once. Left out, it is `false`."),
          ),
          false,
        ),
      }),
      isBodyOptional: true,
      isRepeatable: true,
      answers: {
        200: {
          description: "What was freed",
          body: v.object({
            freed,
            keptForSeconds: v.pipe(
              count,
              v.description(
                "With `now`: how long a push may rely on some of what was left; 0 where nothing was.",
              ),
            ),
            cursor: nextCursor,
          }),
        },
      },
    },
  },
} as const satisfies Resource;
