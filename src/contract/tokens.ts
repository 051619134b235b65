/** `/accounts/{account}/tokens`: generated tokens, which are secrets of an account for machines. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { givenGrants, grants, must, time } from "./schemas.ts";

const maxDescriptionLength = 200;
const maxTokenSeconds = 10 * 365 * 24 * 3600;

const fields = {
  id: v.string(),
  description: v.string(),
  grants: v.optional(
    v.pipe(
      grants,
      v.description("It may what these and its account's grants both allow. Left out: what its account may."),
    ),
  ),
  createdAt: v.pipe(time, v.description("When it was made.")),
  expiresAt: v.optional(v.pipe(time, v.description("When it ends. Left out: never."))),
  lastUsed: v.optional(
    v.pipe(v.string(), v.isoDate(), v.description("The day of its last use (UTC). Left out: never.")),
  ),
};

/** What is shown of a token: everything but the secret, which nobody has. */
export const token = v.object(fields);

/** A token with its secret. */
export const newToken = v.object({
  ...fields,
  secret: v.pipe(v.string(), v.regex(/^stw_[A-Za-z0-9_-]{49}$/)),
});

/** What a token is to be. */
export const tokenPost = v.strictObject({
  description: must(
    `a text of 1 to ${maxDescriptionLength} characters`,
    v.pipe(
      v.string(),
      v.minLength(1),
      v.maxLength(maxDescriptionLength),
      v.description("What it is for: at most 200 characters."),
    ),
  ),
  grants: v.exactOptional(
    givenGrants("Narrows what the account may. Left out, it may what its account may."),
  ),
  expiresInSeconds: v.exactOptional(
    must(
      `a whole number from 1 to ${maxTokenSeconds}`,
      v.pipe(
        v.number(),
        v.integer(),
        v.minValue(1),
        v.maxValue(maxTokenSeconds),
        v.description("At most ten years. Left out, it does not end."),
      ),
    ),
  ),
});

export const tokens = {
  "/accounts/{account}/tokens": {
    name: "account-tokens",
    GET: {
      id: "listTokens",
      summary: "Lists the generated tokens of an account, oldest first",
      details: "Not paged: an account has at most 100.",
      access: "own account",
      answers: {
        200: { description: "The tokens, without their secrets", body: v.object({ tokens: v.array(token) }) },
      },
    },
    POST: {
      id: "createToken",
      summary: "Makes a token",
      details: "A generated token makes no others.",
      access: "own account",
      audit: { action: "token.create", target: "{account}/{token}" },
      body: tokenPost,
      answers: { 201: { description: "Made. The secret is in this answer alone.", body: newToken } },
      errors: ["ACCOUNT_UNKNOWN"],
    },
  },
  "/accounts/{account}/tokens/{token}": {
    name: "account-token",
    DELETE: {
      id: "deleteToken",
      summary: "Deletes a token",
      access: "own token",
      audit: { action: "token.delete", target: "{account}/{token}" },
      answers: { 204: { description: "Deleted" } },
    },
  },
} as const satisfies Resource;
