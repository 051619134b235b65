/** Manifests that the registry keeps as they are, or refuses. */
import assert from "node:assert/strict";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { content, type Descriptor, describe } from "../support/content.ts";
import type { TestRegistry } from "../support/registry.ts";
import { haveBlob } from "./world.ts";

/** Where they are. */
export const repository = "image-spec";

/** Pushes a manifest, and pulls it as it was pushed. */
export async function isKept(
  registry: TestRegistry,
  manifest: Uint8Array,
  type = imageManifestType,
): Promise<void> {
  const digest = await registry.pushManifest(repository, "latest", manifest, type);
  const pulled = await registry.must(200, "GET", `/v2/${repository}/manifests/${digest}`);
  assert.deepEqual(pulled.bytes, manifest);
}

/** A manifest that is refused. */
export async function isRefused(
  registry: TestRegistry,
  manifest: Uint8Array,
  type = imageManifestType,
): Promise<void> {
  expectError(await registry.putManifest(repository, "latest", manifest, type), 400, "MANIFEST_INVALID");
}

/** A blob that the repository has, as a descriptor. */
export function pushed(registry: TestRegistry, mediaType: string, more: object = {}): Promise<Descriptor> {
  return haveBlob(registry, repository, mediaType, more);
}

/** A layer that nobody pushed. */
export const absent = (mediaType: string, more: object = {}): Descriptor =>
  describe(content(), mediaType, more);
