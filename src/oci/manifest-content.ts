/** What a manifest lists, as a page about it shows it: layers, and the images of an index. */
import { annotationsIn, isObject, type Json, parseObject } from "./manifest-fields.ts";
import { platformOf } from "./manifest-summary.ts";

/** Something that a manifest lists. */
export type ListedContent = {
  digest: string;
  mediaType: string;
  sizeBytes: number;
  annotations: Record<string, string>;
  /** Of an image in an index. */
  platform?: string;
};

/** What a manifest says besides its facts. */
export type ManifestContent = {
  annotations: Record<string, string>;
  config?: ListedContent;
  layers: ListedContent[];
  manifests: ListedContent[];
};

/** How many layers, and how many images of an index, are shown at most. */
const maxListed = 500;

/** Reads a manifest. It never fails: what is not as the specification says is left out. */
export function readManifestContent(bytes: Uint8Array): ManifestContent {
  const manifest = parseObject(bytes);
  const config = isObject(manifest.config) ? [listedContent(manifest.config)] : [];
  return {
    annotations: annotationsIn(manifest),
    ...(config[0] === undefined ? {} : { config: config[0] }),
    layers: listOf(Array.isArray(manifest.layers) ? manifest.layers : manifest.blobs),
    manifests: listOf(manifest.manifests),
  };
}

function listOf(value: unknown): ListedContent[] {
  return Array.isArray(value) ? value.filter(isObject).slice(0, maxListed).map(listedContent) : [];
}

function listedContent(entry: Json): ListedContent {
  const { digest, mediaType, size, platform } = entry;
  const named = isObject(platform) ? platformOf(platform) : undefined;
  return {
    digest: typeof digest === "string" ? digest : "",
    mediaType: typeof mediaType === "string" ? mediaType : "",
    sizeBytes: typeof size === "number" && Number.isSafeInteger(size) && size > 0 ? size : 0,
    annotations: annotationsIn(entry),
    ...(named === undefined ? {} : { platform: named }),
  };
}
