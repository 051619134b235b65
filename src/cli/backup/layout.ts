/**
 * An OCI image layout: a directory with one repository's content. Source: image-spec, image-layout.md.
 *
 * A file under its digest was verified, and synced, before it got that name. What is there and has its size need not be
 * fetched again.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, link, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RegistryError } from "../../client/errors.ts";
import { piecesOf, reasonOf } from "../../client/exchange.ts";
import { isObject } from "../../oci/manifest-fields.ts";
import { imageIndexType } from "../../oci/media-type.ts";
import { algorithmOf, type Digest, digestOf, hexOf, parseDigest } from "../../oci/reference.ts";
import { CommandError } from "../errors.ts";
import { makeFolder, replaceFile, syncFolder } from "./files.ts";

/** The annotation that has the tag. Source: image-spec, annotations.md. */
const refNameKey = "org.opencontainers.image.ref.name";
const descriptionKey = "org.opencontainers.image.description";
const visibilityKey = "dev.stowage.visibility";
const readmeKey = "dev.stowage.readme";

/** A manifest of the layout, and the tags that point at it. */
export type LayoutManifest = {
  digest: Digest;
  mediaType: string;
  size: number;
  artifactType?: string;
  tags: string[];
};

/** The contents of `index.json`. */
export type LayoutIndex = {
  manifests: LayoutManifest[];
  visibility: string;
  description: string;
  readme: string;
};

type Descriptor = {
  digest: string;
  mediaType: string;
  size: number;
  artifactType?: string;
  annotations?: Record<string, string>;
};

type Index = { manifests: Descriptor[]; annotations?: Record<string, string> };

/** The layout of one repository. */
export class Layout {
  readonly directory: string;
  /** Those that got a new file. */
  readonly #folders = new Set<string>();

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Where the bytes of a digest are, if they are. */
  pathOf(digest: Digest): string {
    return join(this.directory, "blobs", algorithmOf(digest), hexOf(digest));
  }

  /** Whether there is a layout at all. */
  async isThere(): Promise<boolean> {
    return await access(join(this.directory, "index.json")).then(
      () => true,
      () => false,
    );
  }

  /** Whether there is a file of the digest, and of this size, where it is known. */
  async has(digest: Digest, size?: number): Promise<boolean> {
    const found = await stat(this.pathOf(digest)).catch(() => undefined);
    return found !== undefined && (size === undefined || found.size === size);
  }

  /** Whether there is a file of the digest with its bytes, all of which are read. */
  async isSound(digest: Digest): Promise<boolean> {
    const hash = createHash(algorithmOf(digest));
    try {
      for await (const piece of createReadStream(this.pathOf(digest))) hash.update(piece);
    } catch {
      return false;
    }
    return digestOf(algorithmOf(digest), hash.digest("hex")) === digest;
  }

  /** Takes the bytes of a digest from another layout, without a copy. Returns whether that worked. */
  async takeFrom(other: Layout, digest: Digest): Promise<boolean> {
    await this.#makeFolderOf(digest);
    return await link(other.pathOf(digest), this.pathOf(digest)).then(
      () => true,
      () => false,
    );
  }

  /**
   * Stores bytes, if they are those of the digest, as a new file. `onBytes` hears of their progress.
   *
   * @throws CommandError if they are others, or break off; errors of the file, and those of a registry, as they are
   */
  async write(
    digest: Digest,
    body: ReadableStream<Uint8Array>,
    onBytes: (count: number) => void,
  ): Promise<void> {
    await this.#makeFolderOf(digest);
    await replaceFile(this.directory, this.pathOf(digest), async (file) => {
      const hash = createHash(algorithmOf(digest));
      for await (const piece of namedPiecesOf(digest, body)) {
        hash.update(piece);
        onBytes(piece.byteLength);
        for (let at = 0; at < piece.byteLength; ) at += (await file.write(piece, at)).bytesWritten;
      }
      const computed = digestOf(algorithmOf(digest), hash.digest("hex"));
      if (computed !== digest) throw new CommandError(`what came for ${digest} is ${computed}`);
    });
  }

  /** The bytes of a manifest. */
  async read(digest: Digest): Promise<Uint8Array> {
    return await readFile(this.pathOf(digest));
  }

  /** Reads `index.json`. */
  async readIndex(): Promise<LayoutIndex> {
    const path = join(this.directory, "index.json");
    const index = parseIndex(await readFile(path, "utf8"));
    if (index === undefined) throw new CommandError(`${path} is no index of an image layout`);
    const manifests = new Map<string, LayoutManifest>();
    for (const { annotations, ...descriptor } of index.manifests) {
      const digest = parseDigest(descriptor.digest);
      if (digest === undefined) throw new CommandError(`${path} has a manifest without a digest`);
      const known = manifests.get(digest) ?? { ...descriptor, digest, tags: [] };
      const tag = annotations?.[refNameKey];
      if (tag !== undefined) known.tags.push(tag);
      manifests.set(digest, known);
    }
    const {
      [visibilityKey]: visibility = "private",
      [descriptionKey]: description = "",
      [readmeKey]: readme = "",
    } = index.annotations ?? {};
    return { manifests: [...manifests.values()], visibility, description, readme };
  }

  /**
   * Writes `oci-layout` and `index.json`: a descriptor for each tag, and for each manifest without one. Whatever they name
   * survives a power cut before they have their names.
   */
  async writeIndex({ manifests, visibility, description, readme }: LayoutIndex): Promise<void> {
    const descriptors = manifests.flatMap(({ tags, ...descriptor }): Descriptor[] => {
      if (tags.length === 0) return [descriptor];
      return tags.map((tag) => ({ ...descriptor, annotations: { [refNameKey]: tag } }));
    });
    const annotations = {
      ...(visibility === "private" ? {} : { [visibilityKey]: visibility }),
      ...(description === "" ? {} : { [descriptionKey]: description }),
      ...(readme === "" ? {} : { [readmeKey]: readme }),
    };
    const index = {
      schemaVersion: 2,
      mediaType: imageIndexType,
      manifests: descriptors,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    };
    await makeFolder(join(this.directory, "blobs"));
    for (const folder of this.#folders) await syncFolder(folder);
    await this.#replace("index.json", `${JSON.stringify(index, undefined, 2)}\n`);
    await this.#replace("oci-layout", `${JSON.stringify({ imageLayoutVersion: "1.0.0" })}\n`);
  }

  async #replace(name: string, text: string): Promise<void> {
    await replaceFile(this.directory, join(this.directory, name), (file) => file.writeFile(text));
    await syncFolder(this.directory);
  }

  async #makeFolderOf(digest: Digest): Promise<void> {
    const folder = dirname(this.pathOf(digest));
    await makeFolder(folder);
    this.#folders.add(folder);
  }
}

/** The pieces of a body, with an error that names the digest where they break off. */
async function* namedPiecesOf(digest: Digest, body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* piecesOf(body);
  } catch (error) {
    // It names the digest already.
    if (error instanceof RegistryError) throw error;
    throw new CommandError(`the bytes of ${digest} broke off: ${reasonOf(error)}`);
  }
}

function parseIndex(text: string): Index | undefined {
  try {
    const index = JSON.parse(text) as Index | null;
    return Array.isArray(index?.manifests) && index.manifests.every(isDescriptor) ? index : undefined;
  } catch {
    return undefined;
  }
}

function isDescriptor(value: unknown): boolean {
  if (!isObject(value) || typeof value.digest !== "string" || typeof value.mediaType !== "string")
    return false;
  const { annotations = {} } = value;
  return isObject(annotations) && Object.values(annotations).every((text) => typeof text === "string");
}
