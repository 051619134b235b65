/** `/explain`: why an account may do something, or may not. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { grant, must, repositoryName, verb } from "./schemas.ts";

/** What is asked. */
export const question = v.strictObject({
  account: must("the name of an account", v.pipe(v.string(), v.description("The name of an account."))),
  verb,
  repository: v.pipe(repositoryName, v.description("The name of a repository, which need not exist.")),
});

/** What is answered. */
export const explanation = v.object({
  allowed: v.boolean(),
  reason: v.string(),
  grant: v.optional(grant),
});

export const explain = {
  "/explain": {
    name: "explain",
    POST: {
      id: "explain",
      summary: "Says which grant lets an account do something, or why none does",
      details: "It speaks of the account, not of what one of its tokens is narrowed to.",
      access: "administrator",
      audit: "none",
      body: question,
      answers: { 200: { description: "The answer, whether yes or no", body: explanation } },
    },
  },
} as const satisfies Resource;
