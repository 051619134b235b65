/** `/scrub`: a look at all that is stored. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, givenCursor, nextCursor } from "./schemas.ts";

/** Something that is not as it should be. */
export const finding = v.object({
  what: v.string(),
  repository: v.optional(v.string()),
  digest: v.optional(v.string()),
  tag: v.optional(v.string()),
  key: v.optional(v.string()),
  detail: v.optional(v.string()),
});

/** One of {@link finding}. */
export type Finding = v.InferOutput<typeof finding>;

/** How much was looked at. */
export const checked = v.object({
  blobs: count,
  bytes: count,
  links: count,
  manifests: count,
  tags: count,
  keys: count,
});

/** What a scrub found. */
const scrubReport = v.object({
  checked,
  repaired: v.array(finding),
  problems: v.array(finding),
  refused: v.array(finding),
  unchecked: v.array(finding),
  cursor: nextCursor,
});

/** What a scrub found. */
export type ScrubReport = v.InferOutput<typeof scrubReport>;

export const scrub = {
  "/scrub": {
    name: "scrub",
    POST: {
      id: "scrub",
      summary: "Reads and compares what is stored",
      details:
        "Bytes with digests, ledgers with shards, KV with ledgers, both stores with what is known of them. `repaired` was put right, `problems` cannot be. `refused` is sound and served, and would be refused if it were pushed today. `unchecked` could not be looked at, because an object or a store did not answer: ask again.",
      access: "administrator",
      audit: { action: "scrub", target: "*" },
      body: v.strictObject({ cursor: givenCursor }),
      isBodyOptional: true,
      isRepeatable: true,
      answers: { 200: { description: "What was found", body: scrubReport } },
    },
  },
} as const satisfies Resource;
