/** Whole images, pushed and pulled as clients do it. */
import { createHash } from "node:crypto";
import { pullBlob, pullManifest, pushManifest, pushWhole } from "./client.ts";
import { type Payload, payloadOf } from "./payload.ts";
import type { Target } from "./target.ts";

/** An image: a config, layers, and the manifest that names them. */
export interface Image {
  config: Payload;
  layers: Payload[];
  manifest: Buffer;
  digest: string;
}

const configBytes = 2 * 1024;

/** A manifest of these blobs; `id` makes it another one. */
export function manifestOf(config: Payload, layers: readonly Payload[], id = ""): Buffer {
  const describe = (mediaType: string, { digest, sizeBytes }: Payload) => ({
    mediaType,
    digest,
    size: sizeBytes,
  });
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: layers.map((layer) => describe("application/vnd.oci.image.layer.v1.tar+gzip", layer)),
      ...(id === "" ? {} : { annotations: { id } }),
    }),
  );
}

/** Makes an image of which no blob was ever pushed. */
export function newImage(layerCount: number, layerBytes: number): Image {
  const config = payloadOf(configBytes);
  const layers = Array.from({ length: layerCount }, () => payloadOf(layerBytes));
  const manifest = manifestOf(config, layers);
  const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
  return { config, layers, manifest, digest };
}

/** Pushes all blobs at once, then the manifest under a tag. */
export async function pushImage(
  target: Target,
  repository: string,
  tag: string,
  image: Image,
): Promise<void> {
  await Promise.all([image.config, ...image.layers].map((blob) => pushWhole(target, repository, blob)));
  await pushManifest(target, repository, tag, image.manifest);
}

/** Pulls the manifest by tag, then all blobs at once. */
export async function pullImage(
  target: Target,
  repository: string,
  tag: string,
  image: Image,
): Promise<void> {
  await pullManifest(target, repository, tag);
  await Promise.all([image.config, ...image.layers].map((blob) => pullBlob(target, repository, blob)));
}
