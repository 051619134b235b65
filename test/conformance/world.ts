/** The registries that all statements are checked against. */

import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import type { PushedImage } from "../support/client.ts";
import { type ClosedRegistry, startClosedRegistry } from "../support/closed-registry.ts";
import {
  configType,
  content,
  type Descriptor,
  describe,
  imageIndex,
  imageManifest,
} from "../support/content.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";
import { startTimedRegistry, type TimedRegistry } from "../support/timed-registry.ts";

export const algorithms = ["sha256", "sha512"] as const;

/** Where the image of {@link World} is; what changes a repository takes another one. */
export const library = "library/app";

export type World = TimedRegistry & {
  /** As it is delivered, and open to everybody. It has `library/app:latest`. */
  registry: TestRegistry;
  /** `library/app:latest`. */
  image: PushedImage;
  /** With `SPARSE_MANIFESTS=accept`. */
  sparse: TestRegistry;
  /** With accounts. */
  closed: ClosedRegistry;
};

/** Starts them; they end after the tests of the file. */
export async function startWorld(): Promise<World> {
  const [timed, sparse, closed] = await Promise.all([
    startTimedRegistry(),
    startRegistry({ vars: { SPARSE_MANIFESTS: "accept" } }),
    startClosedRegistry({}, { maxMisses: 3 }),
  ]);
  const image = await timed.registry.pushImage(library, "latest");
  return { ...timed, image, sparse, closed };
}

/** The descriptor of an image as the subject of others. */
export function subjectOf(image: PushedImage): Descriptor {
  return describe(image.manifest, imageManifestType, { digest: image.digest });
}

/** A blob that many manifests name: each blob of its own would wake another shard. */
const commonBlob = content();
const withCommonBlob = new WeakMap<TestRegistry, Set<string>>();

/** The descriptor of a blob that the repository has now. */
export async function haveBlob(
  registry: TestRegistry,
  repository: string,
  mediaType: string,
  more: object = {},
): Promise<Descriptor> {
  const repositories = withCommonBlob.get(registry) ?? new Set();
  if (!repositories.has(repository)) await registry.pushBlob(repository, commonBlob);
  withCommonBlob.set(registry, repositories.add(repository));
  return describe(commonBlob, mediaType, more);
}

/** An image without layers, and unlike any other, whose config the repository has; `more` goes into the manifest. */
export async function makeImage(
  registry: TestRegistry,
  repository: string,
  more: object = {},
): Promise<Uint8Array> {
  const annotations = { "org.example.id": crypto.randomUUID() };
  const config = await haveBlob(registry, repository, configType);
  return imageManifest(config, [], { annotations, ...more });
}

/** An index of nothing, and unlike any other; `more` goes into it. */
export function makeIndex(more: object = {}): Uint8Array {
  return imageIndex([], { annotations: { "org.example.id": crypto.randomUUID() }, ...more });
}

/** Pushes an index that refers to a subject; returns its digest. */
export function pushReferrer(
  registry: TestRegistry,
  repository: string,
  subject: Descriptor,
  more: object = {},
): Promise<string> {
  return registry.pushManifest(
    repository,
    `r-${crypto.randomUUID()}`,
    makeIndex({ subject, ...more }),
    imageIndexType,
  );
}

/** An entry of a list of referrers. */
export type Referrer = Descriptor & { artifactType?: string; annotations?: Record<string, string> };

/** The referrers of a digest; `query` begins with `?`. */
export async function referrersOf(
  registry: TestRegistry,
  repository: string,
  digest: string,
  query = "",
): Promise<Referrer[]> {
  const list = await registry.must(200, "GET", `/v2/${repository}/referrers/${digest}${query}`);
  return list.json<{ manifests: Referrer[] }>().manifests;
}

/** The tags of a repository. */
export async function tagsOf(registry: TestRegistry, repository: string, query = ""): Promise<string[]> {
  const list = await registry.must(200, "GET", `/v2/${repository}/tags/list${query}`);
  return list.json<{ tags: string[] }>().tags;
}
