/** `/repositories/{name}/tags`: how tags moved, and putting them back. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, digest, must, time } from "./schemas.ts";

/** A move of a tag. */
export const tagMove = v.object({
  sequence: count,
  time,
  actor: v.string(),
  from: v.pipe(
    v.nullable(v.string()),
    v.description("What it pointed at before; null where it did not exist."),
  ),
  to: v.pipe(v.nullable(v.string()), v.description("What it points at since; null where it was deleted.")),
});

/** What of a tag's history to put back. */
export const tagRestore = v.strictObject({
  digest: v.exactOptional(v.pipe(digest, v.description("A digest that the tag pointed at."))),
  sequence: v.exactOptional(
    must(
      "a sequence number of the history",
      v.pipe(
        v.number(),
        v.integer(),
        v.minValue(1),
        v.maxValue(Number.MAX_SAFE_INTEGER),
        v.description("The number of a move: the tag goes back to what it led to."),
      ),
    ),
  ),
});

export const tags = {
  "/repositories/{name}/tags/{tag}/history": {
    name: "tag-history",
    GET: {
      id: "tagHistory",
      summary: "Lists the moves of a tag, newest first",
      details: "`last` is the `sequence` after which the page begins. Moves are kept for TAG_HISTORY_DAYS.",
      access: { repository: "pull" },
      page: { most: 1000, last: "integer" },
      answers: { 200: { description: "A page of moves", body: v.object({ history: v.array(tagMove) }) } },
    },
  },
  "/repositories/{name}/tags/{tag}/restore": {
    name: "tag-restore",
    POST: {
      id: "restoreTag",
      summary: "Puts a tag back",
      details:
        "To the `digest` that it pointed at, to what the move `sequence` led to, or, without a body, to what was before what is now.",
      access: { repository: "push" },
      audit: { action: "tag.restore", target: "{name}:{tag}" },
      body: tagRestore,
      isBodyOptional: true,
      answers: {
        200: {
          description: "What it points at now",
          body: v.object({ tag: v.string(), digest: v.string(), sequence: count }),
        },
      },
    },
  },
} as const satisfies Resource;
