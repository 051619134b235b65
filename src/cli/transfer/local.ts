/** Image layouts in directories, as sources and destinations of a copy. */
import { stat } from "node:fs/promises";
import { type Descriptor, readDescriptor } from "../../client/descriptor.ts";
import type { BlobSource } from "../../client/push-blob.ts";
import { maxManifestBytes, readStoredManifest } from "../../oci/manifest.ts";
import { isObject } from "../../oci/manifest-fields.ts";
import { algorithmOf, type Digest, digestOfContent, parseTag, type Tag } from "../../oci/reference.ts";
import { Layout, type LayoutManifest } from "../backup/layout.ts";
import { CommandError } from "../errors.ts";
import { fileSource } from "../file-source.ts";
import type { Destination, Manifest, Root, Source } from "./ends.ts";
import { signatureTagsOf } from "./signatures.ts";

/** Where the bytes of a digest are. */
export type Place = { path: string; offset: number; size: number };

/** Content on disk. `index`: the descriptors of what it holds, with the names that it gives them. */
export type LocalContent = {
  name: string;
  index: { digest: Digest; mediaType: string; names: string[] }[];
  find(digest: Digest): Promise<Place | undefined>;
  read(place: Place): Promise<Uint8Array>;
};

/**
 * Content on disk to copy from: the manifest with a tag, or all of it.
 *
 * @param tag the one that is meant; `undefined` for all
 */
export function localSource(content: LocalContent, tag: string | undefined): Source {
  const manifest = async (digest: Digest, mediaType: string): Promise<Manifest | undefined> => {
    const place = await content.find(digest);
    return place === undefined
      ? undefined
      : { digest, mediaType, bytes: await readWhole(content, digest, place) };
  };
  let subjects: Promise<Map<string, Descriptor[]>> | undefined;
  const all = content.index.map(({ digest, mediaType, names }): Root => {
    return { digest, mediaType, tags: names.flatMap((name) => tagOf(name) ?? []) };
  });
  return {
    name: content.name,
    roots: async () => {
      const roots = all.filter(({ tags }) => tag === undefined || tags.includes(tag));
      if (roots.length === 0) {
        const what = tag === undefined ? "no image" : `no image with the tag ${tag}`;
        throw new CommandError(`${content.name} has ${what}`);
      }
      return {
        roots: tag === undefined ? roots : roots.map((root) => ({ ...root, tags: [tag] })),
        failed: [],
      };
    },
    manifest,
    hasManifest: async (digest) => (await content.find(digest)) !== undefined,
    blobSize: async (digest) => (await content.find(digest))?.size,
    openBlob: async (digest): Promise<BlobSource> => {
      const place = await content.find(digest);
      if (place === undefined) throw new CommandError(`${content.name} has no ${digest}`);
      return await fileSource(place.path, place);
    },
    referrers: async (digest) => {
      subjects ??= subjectsIn(content, manifest);
      return (await subjects).get(digest) ?? [];
    },
    signatures: async (digest) => {
      const own = signatureTagsOf(digest);
      return all.flatMap((root) => {
        const tags = root.tags.filter((each) => own.includes(each as Tag));
        return tags.length === 0 ? [] : [{ ...root, tags }];
      });
    },
  };
}

/** The bytes of a manifest, if they are those of its digest: under a tag, a registry would take any others as well. */
async function readWhole(content: LocalContent, digest: Digest, place: Place): Promise<Uint8Array> {
  if (place.size > maxManifestBytes) {
    throw new CommandError(`${digest} in ${content.name} is no manifest: it has ${place.size} bytes`);
  }
  const bytes = await content.read(place);
  const computed = digestOfContent(bytes, algorithmOf(digest));
  if (computed === digest) return bytes;
  throw new CommandError(`${content.name} is damaged: what is there for ${digest} is ${computed}`);
}

/** The manifests of a layout that refer to another one, by their subject. */
async function subjectsIn(
  content: LocalContent,
  manifest: (digest: Digest, mediaType: string) => Promise<Manifest | undefined>,
): Promise<Map<string, Descriptor[]>> {
  const subjects = new Map<string, Descriptor[]>();
  for (const { digest, mediaType } of content.index) {
    const found = await manifest(digest, mediaType);
    if (found === undefined) continue;
    const { subject } = readStoredManifest(found.bytes, mediaType);
    if (subject === undefined) continue;
    const referrer = { digest, mediaType, size: found.bytes.byteLength };
    subjects.set(subject, [...(subjects.get(subject) ?? []), referrer]);
  }
  return subjects;
}

/** The tag in a name: some write whole names of images there. */
function tagOf(name: string): string | undefined {
  return parseTag(name) ?? parseTag(name.replace(/^.*:/, ""));
}

/** The content of a layout. */
export async function layoutContent(directory: string): Promise<LocalContent> {
  const layout = new Layout(directory);
  const { manifests } = await layout.readIndex();
  return {
    name: directory,
    index: manifests.map(({ digest, mediaType, tags }) => ({ digest, mediaType, names: tags })),
    find: async (digest) => {
      const path = layout.pathOf(digest);
      const found = await stat(path).catch(() => undefined);
      return found === undefined ? undefined : { path, offset: 0, size: found.size };
    },
    read: async ({ path, offset, size }) => await readPlace({ path, offset, size }),
  };
}

/** Reads bytes of a file whole. */
export async function readPlace({ path, offset, size }: Place): Promise<Uint8Array> {
  const source = await fileSource(path, { offset, size });
  try {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await source.read(bytes, 0));
  } finally {
    await source.close?.();
  }
}

const pieceBytes = 1024 * 1024;

/** A layout to copy to; it is made where there is none. */
export async function layoutDestination(directory: string): Promise<Destination> {
  const layout = new Layout(directory);
  const before = (await layout.isThere()) ? await layout.readIndex() : undefined;
  const manifests = new Map<Digest, LayoutManifest>(before?.manifests.map((each) => [each.digest, each]));
  return {
    name: directory,
    tagged: async (tag) => [...manifests.values()].find(({ tags }) => tags.includes(tag))?.digest,
    // One that no index names may be left from a copy that was cut short.
    hasManifest: async (digest) => manifests.has(digest) && (await layout.isSound(digest)),
    hasBlob: (digest, size) => layout.has(digest, size),
    putBlob: async (digest, open, onBytes) => {
      const source = await open();
      try {
        await layout.write(digest, streamOf(source), onBytes);
      } finally {
        await source.close?.();
      }
      return "sent";
    },
    putManifest: async ({ digest, mediaType, bytes }, tags) => {
      await layout.write(digest, new Blob([bytes]).stream(), () => {});
      for (const other of manifests.values()) other.tags = other.tags.filter((tag) => !tags.includes(tag));
      const known = manifests.get(digest)?.tags ?? [];
      const { artifactType } = readStoredManifest(bytes, mediaType);
      const type = artifactType === undefined ? {} : { artifactType };
      const size = bytes.byteLength;
      manifests.set(digest, { digest, mediaType, size, ...type, tags: [...known, ...tags] });
    },
    finish: async () => {
      const { visibility = "private", description = "", readme = "" } = before ?? {};
      await layout.writeIndex({ manifests: [...manifests.values()], visibility, description, readme });
    },
  };
}

function streamOf(source: BlobSource): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        if (offset >= source.size) return controller.close();
        const piece = new Uint8Array(Math.min(pieceBytes, source.size - offset));
        const count = await source.read(piece, offset);
        if (count === 0)
          return controller.error(new Error(`it ends after ${offset} of ${source.size} bytes`));
        controller.enqueue(piece.subarray(0, count));
        offset += count;
      },
    },
    { highWaterMark: 0 },
  );
}

/** Reads a descriptor that a file has. */
export function descriptorIn(value: unknown): { descriptor: Descriptor; names: string[] } | undefined {
  const descriptor = readDescriptor(value);
  if (descriptor === undefined || !isObject(value)) return undefined;
  const name = descriptor.annotations?.["org.opencontainers.image.ref.name"];
  return { descriptor, names: name === undefined ? [] : [name] };
}
