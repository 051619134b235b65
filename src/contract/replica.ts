/** `/replica`: the copy in KV. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, givenCursor, nextCursor } from "./schemas.ts";

export const replica = {
  "/replica/rebuild": {
    name: "replica-rebuild",
    POST: {
      id: "rebuildReplica",
      summary: "Has the replica in KV written anew",
      details:
        "Pulls go on. The ledgers write all their rows, and remove what is not theirs, soon after the answer.",
      access: "administrator",
      audit: { action: "replica.rebuild", target: "*" },
      body: v.strictObject({ cursor: givenCursor }),
      isBodyOptional: true,
      isRepeatable: true,
      answers: {
        200: {
          description: "What was begun",
          body: v.object({ repositories: count, removed: count, cursor: nextCursor }),
        },
      },
    },
  },
} as const satisfies Resource;
