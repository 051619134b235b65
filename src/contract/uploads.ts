/** `/uploads`: upload sessions that are under way. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, time } from "./schemas.ts";

/** An upload that is under way. */
export const openUpload = v.object({
  id: v.pipe(v.string(), v.uuid()),
  repository: v.string(),
  account: v.optional(
    v.pipe(v.string(), v.description("Who opened it; left out where an earlier release did.")),
  ),
  startedAt: v.optional(time),
  lastActiveAt: v.pipe(time, v.description("When its last request ended.")),
  bytes: v.pipe(count, v.description("What is stored of it.")),
  writing: v.pipe(v.boolean(), v.description("Whether a request sends bytes now.")),
});

export const uploads = {
  "/uploads": {
    name: "open-uploads",
    GET: {
      id: "listUploads",
      summary: "Lists uploads that are under way, the oldest first",
      details:
        "Sessions that have received bytes, at most 1,000. Deployed, those that have lasted for half a minute. Blobs that are sent in one piece have no session.",
      access: "administrator",
      answers: { 200: { description: "The uploads", body: v.object({ uploads: v.array(openUpload) }) } },
    },
  },
  "/uploads/{upload}": {
    name: "open-upload",
    DELETE: {
      id: "dropUpload",
      summary: "Ends an upload, and deletes what it stored",
      access: "administrator",
      audit: { action: "upload.drop", target: "{repository}" },
      answers: { 204: { description: "It is gone" } },
    },
  },
} as const satisfies Resource;
