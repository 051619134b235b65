/** `/name-index`: which repositories may exist. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count } from "./schemas.ts";

export const nameIndex = {
  "/name-index/rebuild": {
    name: "name-index-rebuild",
    POST: {
      id: "rebuildNameIndex",
      summary: "Has the index of names built again from the list of repositories",
      details:
        "Pushes and pulls go on. Until it is done, soon after the answer, repositories that the index does not have are looked for.",
      access: "administrator",
      audit: { action: "name-index.rebuild", target: "*" },
      body: v.strictObject({}),
      isBodyOptional: true,
      answers: {
        200: {
          description: "How many parts of the index are being built",
          body: v.object({ parts: count }),
        },
      },
    },
  },
} as const satisfies Resource;
