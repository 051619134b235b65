/** Archives of `docker save`, old and new, and image layouts in a tar file. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isObject } from "../../oci/manifest-fields.ts";
import { imageManifestType } from "../../oci/media-type.ts";
import { algorithmOf, type Digest, digestOf, digestOfContent, hexOf } from "../../oci/reference.ts";
import { CommandError } from "../errors.ts";
import { withTemporary } from "../temporary.ts";
import { descriptorIn, type LocalContent, type Place, readPlace } from "./local.ts";
import { compressionOf, readBlock, readTar, type TarEntry } from "./tar.ts";

const configType = "application/vnd.oci.image.config.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar";
const maxJsonBytes = 16 * 1024 * 1024;

/**
 * Opens an archive.
 *
 * @param name how people call it
 */
export async function archiveContent(path: string, name = path): Promise<LocalContent> {
  const file = await open(path);
  try {
    const entries = await readTar(file, name);
    const json = async (member: string): Promise<unknown> => {
      const entry = entries.get(member);
      if (entry === undefined || entry.size > maxJsonBytes) return undefined;
      const text = (await readBlock(file, entry.offset, entry.size)).toString();
      try {
        return JSON.parse(text);
      } catch {
        throw new CommandError(`${member} in ${name} is no JSON`);
      }
    };
    const index = await json("index.json");
    if (isObject(index) && Array.isArray(index.manifests))
      return ofLayout(path, name, entries, index.manifests);
    const saved = await json("manifest.json");
    if (Array.isArray(saved)) return await ofSaved(path, name, entries, saved);
    throw new CommandError(`${name} is neither an archive of docker save nor an image layout`);
  } finally {
    await file.close();
  }
}

/** Does some work with an archive that comes on stdin, which is kept in a file as long. */
export async function withSpooledArchive<T>(
  stdin: Readable,
  work: (content: LocalContent) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "stowage-"));
  return await withTemporary(directory, async () => {
    const path = join(directory, "archive.tar");
    await pipeline(stdin, createWriteStream(path, { mode: 0o600 }));
    return await work(await archiveContent(path, "what is on stdin"));
  });
}

function ofLayout(
  path: string,
  name: string,
  entries: Map<string, TarEntry>,
  listed: unknown[],
): LocalContent {
  const index = new Map<Digest, { digest: Digest; mediaType: string; names: string[] }>();
  for (const { descriptor, names } of listed.flatMap((each) => descriptorIn(each) ?? [])) {
    const { digest, mediaType } = descriptor;
    const known = index.get(digest) ?? { digest, mediaType, names: [] };
    known.names.push(...names);
    index.set(digest, known);
  }
  return {
    name,
    index: [...index.values()],
    find: async (digest) => {
      const entry = entries.get(`blobs/${algorithmOf(digest)}/${hexOf(digest)}`);
      return entry === undefined ? undefined : { path, ...entry };
    },
    read: readPlace,
  };
}

type Saved = { Config: string; RepoTags?: string[] | null; Layers: string[] };

function isSaved(value: unknown): value is Saved {
  if (!isObject(value) || typeof value.Config !== "string") return false;
  return areTexts(value.Layers) && (value.RepoTags == null || areTexts(value.RepoTags));
}

function areTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

/** An archive of before docker 25: the configuration and the layers, without a manifest, which is made here. */
async function ofSaved(
  path: string,
  name: string,
  entries: Map<string, TarEntry>,
  saved: unknown[],
): Promise<LocalContent> {
  const places = new Map<Digest, Place>();
  const manifests = new Map<Digest, Uint8Array>();
  const index: LocalContent["index"] = [];
  const add = async (member: string, mediaType: string) => {
    const entry = entries.get(member);
    if (entry === undefined)
      throw new CommandError(`${name} has no ${member}, which its manifest.json names`);
    const digest = await digestOfEntry(path, entry);
    places.set(digest, { path, ...entry });
    return { mediaType, digest, size: entry.size };
  };
  for (const image of saved) {
    if (!isSaved(image)) throw new CommandError(`manifest.json in ${name} is not as docker writes it`);
    const config = await add(image.Config, configType);
    const layers = [];
    for (const each of image.Layers) layers.push(await add(each, await layerTypeOf(path, entries.get(each))));
    const json = JSON.stringify({ schemaVersion: 2, mediaType: imageManifestType, config, layers });
    const bytes = new TextEncoder().encode(json);
    const digest = digestOfContent(bytes, "sha256");
    manifests.set(digest, bytes);
    index.push({ digest, mediaType: imageManifestType, names: image.RepoTags ?? [] });
  }
  return {
    name,
    index,
    find: async (digest) => {
      const manifest = manifests.get(digest);
      return manifest === undefined
        ? places.get(digest)
        : { path: digest, offset: 0, size: manifest.byteLength };
    },
    read: async (place) => manifests.get(place.path as Digest) ?? (await readPlace(place)),
  };
}

async function digestOfEntry(path: string, { offset, size }: TarEntry): Promise<Digest> {
  const hash = createHash("sha256");
  if (size > 0) {
    for await (const piece of createReadStream(path, { start: offset, end: offset + size - 1 }))
      hash.update(piece);
  }
  return digestOf("sha256", hash.digest("hex"));
}

/** Layers are as they were stored, compressed or not. */
async function layerTypeOf(path: string, entry: TarEntry | undefined): Promise<string> {
  if (entry === undefined) return layerType;
  const file = await open(path);
  const start = await readBlock(file, entry.offset, Math.min(4, entry.size)).finally(() => file.close());
  const compression = compressionOf(start);
  return compression === undefined ? layerType : `${layerType}+${compression}`;
}
