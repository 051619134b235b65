/** `/repositories/{name}/manifests`: what a repository has, and putting back what was deleted. */
import * as v from "valibot";
import type { Resource } from "./operation.ts";
import { count, time } from "./schemas.ts";

/** A manifest as it is listed. */
export const manifest = v.object({
  digest: v.string(),
  mediaType: v.string(),
  size: count,
  tags: v.pipe(v.array(v.string()), v.description("The first 10,000.")),
  artifactType: v.optional(v.string()),
  subject: v.optional(v.string()),
  pushedAt: time,
});

/** One of {@link manifest}. */
export type ListedManifest = v.InferOutput<typeof manifest>;

export const manifests = {
  "/repositories/{name}/manifests": {
    name: "repository-manifests",
    GET: {
      id: "listManifests",
      summary: "Lists all manifests, tagged or not, by digest",
      details: "Of each its tags, the first 10,000.",
      access: { repository: "pull" },
      page: { most: 1000, last: "text" },
      answers: {
        200: { description: "A page of manifests", body: v.object({ manifests: v.array(manifest) }) },
      },
    },
  },
  "/repositories/{name}/manifests/{digest}/restore": {
    name: "manifest-restore",
    POST: {
      id: "restoreManifest",
      summary: "Puts a deleted manifest back",
      details: "Within GC_GRACE of its deletion. Those of its tags come back that do not exist meanwhile.",
      access: { repository: "push" },
      audit: { action: "manifest.restore", target: "{name}@{digest}" },
      answers: {
        200: {
          description: "It is there",
          body: v.object({ digest: v.string(), tags: v.array(v.string()) }),
        },
      },
    },
  },
} as const satisfies Resource;
