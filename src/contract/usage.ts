/** `/usage`: what is stored. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { amount, count } from "./schemas.ts";

/** What a repository holds. */
export const repositoryUsage = v.object({
  name: v.string(),
  manifests: count,
  tags: count,
  blobs: count,
  blobBytes: v.pipe(count, v.description("What its blobs weigh, each once.")),
  ledgerBytes: v.pipe(
    count,
    v.description("What its ledger has in its database. From LEDGER_LIMIT on, pushes get 507."),
  ),
  logical: amount,
  stored: amount,
});

/** What all repositories hold. */
export const totalUsage = v.object({
  repositories: count,
  logical: amount,
  stored: amount,
  leaving: amount,
  isComplete: v.pipe(
    v.boolean(),
    v.description(
      "False while sums are gathered, as after an upgrade: some repositories are not counted yet.",
    ),
  ),
});

/** A page of repositories with what each holds, and, with the first page, what all of them do. */
const usagePage = v.object({ repositories: v.array(repositoryUsage), total: v.optional(totalUsage) });

/** One of {@link usagePage}. */
export type UsagePage = v.InferOutput<typeof usagePage>;

export const usage = {
  "/usage": {
    name: "usage",
    GET: {
      id: "usage",
      summary: "Says what each repository holds, and on the first page what all of them do",
      details:
        "`logical` counts everything as often as it is referenced, `stored` once; `leaving` is what waits for its deletion. Repositories say what they hold within ten seconds of a change. At most 500 repositories a page.",
      access: "administrator",
      page: { most: 500, last: "text" },
      answers: {
        200: {
          description: "A page of repositories",
          body: usagePage,
        },
      },
    },
  },
} as const satisfies Resource;
