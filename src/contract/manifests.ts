/** `/repositories/{name}/manifests`: what a repository has, reading it, and putting back what was deleted. */
import * as v from "valibot";
import { contentKinds } from "../oci/manifest-summary.ts";
import type { Resource } from "./operation.ts";
import { count, day, time } from "./schemas.ts";

/** What is known of a manifest without reading it. */
export const manifestFacts = {
  digest: v.string(),
  mediaType: v.string(),
  size: v.pipe(count, v.description("The bytes of the manifest itself.")),
  artifactType: v.optional(v.string()),
  subject: v.optional(v.string()),
  kind: v.optional(
    v.pipe(
      v.picklist(contentKinds),
      v.description("Missing, as `imageSize` is, until a manifest of an earlier release was read again."),
    ),
  ),
  imageSize: v.optional(
    v.pipe(
      count,
      v.description(
        "The bytes of its config and layers; of an index, of the images that it lists and that exist.",
      ),
    ),
  ),
  platforms: v.optional(
    v.pipe(
      v.array(v.string()),
      v.description("As `linux/arm64` or `linux/arm/v7`. Missing if the config cannot be read now."),
    ),
  ),
  createdAt: v.optional(time),
  pushedAt: time,
  pushedBy: v.optional(v.pipe(v.string(), v.description("Missing for callers without a credential."))),
  lastUsed: v.optional(
    v.pipe(
      day,
      v.description(
        "The day of its last use, or of that of an image that it lists. Missing if it was not used since it was pushed.",
      ),
    ),
  ),
};

/** A manifest as it is listed. */
export const manifest = v.object({
  ...manifestFacts,
  tags: v.pipe(v.array(v.string()), v.description("The first 10,000.")),
});

/** One of {@link manifest}. */
export type ListedManifest = v.InferOutput<typeof manifest>;

/** What the config of an image says. */
export const imageConfig = v.object({
  platform: v.optional(v.string()),
  createdAt: v.optional(time),
  author: v.optional(v.string()),
  env: v.array(v.string()),
  labels: v.record(v.string(), v.string()),
  entrypoint: v.array(v.string()),
  command: v.array(v.string()),
  workingDirectory: v.optional(v.string()),
  user: v.optional(v.string()),
  exposedPorts: v.array(v.string()),
  volumes: v.array(v.string()),
  stopSignal: v.optional(v.string()),
  history: v.array(
    v.object({
      createdAt: v.optional(time),
      createdBy: v.optional(v.string()),
      comment: v.optional(v.string()),
      isEmptyLayer: v.boolean(),
    }),
  ),
});

/** A manifest, what lists it, what it lists, and what the config of an image says. */
export const manifestDetails = v.object({
  ...manifest.entries,
  manifests: v.pipe(
    v.array(v.object(manifestFacts)),
    v.description("Of an index, the manifests that it lists and that exist, the first 100."),
  ),
  indexes: v.pipe(v.array(v.string()), v.description("The indexes that list it, the first 100.")),
  config: v.optional(imageConfig),
});

export const manifests = {
  "/repositories/{name}/manifests": {
    name: "repository-manifests",
    GET: {
      id: "listManifests",
      summary: "Lists all manifests, tagged or not, by digest",
      details: "Of each its tags, the first 10,000.",
      access: { repository: "pull", byGrant: true },
      page: { most: 1000, last: "text" },
      answers: {
        200: { description: "A page of manifests", body: v.object({ manifests: v.array(manifest) }) },
      },
    },
  },
  "/repositories/{name}/manifests/{digest}": {
    name: "manifest-details",
    GET: {
      id: "getManifest",
      summary: "Says what a manifest is, what an index lists, and what the config of an image says",
      access: { repository: "pull" },
      answers: { 200: { description: "The manifest", body: manifestDetails } },
    },
  },
  "/repositories/{name}/manifests/{digest}/content": {
    name: "manifest-content",
    GET: {
      id: "readManifest",
      summary: "Reads a manifest, which is no pull",
      details: "It is not counted, is no use of the image, and no webhook learns of it.",
      access: { repository: "pull" },
      answers: { 200: { description: "The manifest as it was pushed", content: "*/*" } },
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
  "/repositories/{name}/blobs/{digest}/content": {
    name: "blob-content",
    GET: {
      id: "readBlob",
      summary: "Reads a blob, or ranges of it",
      details: "A range that it does not have is refused with 416.",
      access: { repository: "pull" },
      answers: {
        200: { description: "The blob", content: "application/octet-stream" },
        206: { description: "The ranges that `Range` asks for", content: "application/octet-stream" },
        304: { description: "What `If-None-Match` names", content: "application/octet-stream" },
      },
    },
  },
} as const satisfies Resource;
