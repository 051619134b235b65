/** OCI image layouts on disk: images as they are in practice, made of random bytes. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { imageIndexType, imageManifestType } from "../../../src/oci/media-type.ts";
import { configType, layerType } from "../../support/content.ts";
import { Content } from "./content.ts";

const tarBlockBytes = 512;
const kilobyte = 1024;

/** The sizes of an image's layers, if a test names no others. */
export const fiveLayers = [300, 120, 45, 4, 1].map((size) => size * kilobyte);

/** The architectures that an index is for. */
const threeArchitectures = ["amd64", "arm64", "riscv64"];

/** Reference to some content. */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** A layout that was written. */
export interface Layout {
  /** The folder. */
  directory: string;
  /** What the tag names: an index, or the manifest of the one image. */
  entry: Descriptor;
  /** The manifest of each image; those of attestations are not among them. */
  manifests: Descriptor[];
}

/** `sha256:…` of bytes. */
export function sha256(bytes: string | Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A tar archive with one file, in pieces. Source: POSIX, "ustar Interchange Format". */
function* tar(name: string, content: Content): Generator<Buffer> {
  const { sizeBytes } = content;
  const header = Buffer.alloc(tarBlockBytes);
  header.write(name, 0);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${sizeBytes.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\0", 257);
  header.write("00", 263);
  const checksum = [...header].reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
  yield header;
  yield* content.pieces();
  yield Buffer.alloc((tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes);
  yield Buffer.alloc(2 * tarBlockBytes);
}

/** Writes the files of a layout. */
class LayoutWriter {
  readonly #directory: string;
  readonly #blobs: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.#blobs = join(directory, "blobs", "sha256");
  }

  async put(mediaType: string, content: object): Promise<Descriptor> {
    await mkdir(this.#blobs, { recursive: true });
    const bytes = Buffer.from(JSON.stringify(content));
    const digest = sha256(bytes);
    await writeFile(join(this.#blobs, digest.slice("sha256:".length)), bytes);
    return { mediaType, digest, size: bytes.byteLength };
  }

  /** Writes a layer with one file of random bytes. `diffId` is the digest of the uncompressed archive. */
  async putLayer(name: string, sizeBytes: number): Promise<{ layer: Descriptor; diffId: string }> {
    await mkdir(this.#blobs, { recursive: true });
    const uncompressed = createHash("sha256");
    const compressed = createHash("sha256");
    const file = join(this.#blobs, `${name}.part`);
    await pipeline(
      Readable.from(tar(name, new Content(name, sizeBytes))),
      async function* (pieces: AsyncIterable<Buffer>) {
        for await (const piece of pieces) {
          uncompressed.update(piece);
          yield piece;
        }
      },
      // Random bytes cannot be compressed, and trying would take longer than the push.
      createGzip({ level: 0 }),
      async function* (pieces: AsyncIterable<Buffer>) {
        for await (const piece of pieces) {
          compressed.update(piece);
          yield piece;
        }
      },
      createWriteStream(file),
    );
    const { size } = await stat(file);
    const hex = compressed.digest("hex");
    await rename(file, join(this.#blobs, hex));
    const layer = { mediaType: layerType, digest: `sha256:${hex}`, size };
    return { layer, diffId: `sha256:${uncompressed.digest("hex")}` };
  }

  async putImage(seed: string, architecture: string, layerBytes: readonly number[]): Promise<Descriptor> {
    const layers: Descriptor[] = [];
    const diffIds: string[] = [];
    for (const [index, sizeBytes] of layerBytes.entries()) {
      const { layer, diffId } = await this.putLayer(`${seed}-${architecture}-${index}`, sizeBytes);
      layers.push(layer);
      diffIds.push(diffId);
    }
    const rootfs = { type: "layers", diff_ids: diffIds };
    const config = await this.put(configType, { architecture, os: "linux", config: {}, rootfs });
    return this.put(imageManifestType, { schemaVersion: 2, mediaType: imageManifestType, config, layers });
  }

  /** Writes an attestation as BuildKit does: an image for no platform. Source: BuildKit, "Image Attestation Storage". */
  async putAttestation(of: Descriptor): Promise<object> {
    const type = "application/vnd.in-toto+json";
    const statement = {
      _type: "https://in-toto.io/Statement/v0.1",
      predicateType: "https://spdx.dev/Document",
    };
    const layer = await this.put(type, { ...statement, subject: [{ name: "image", digest: of.digest }] });
    const rootfs = { type: "layers", diff_ids: [layer.digest] };
    const config = await this.put(configType, { architecture: "unknown", os: "unknown", config: {}, rootfs });
    const layers = [{ ...layer, annotations: { "in-toto.io/predicate-type": statement.predicateType } }];
    const content = { schemaVersion: 2, mediaType: imageManifestType, config, layers };
    const annotations = {
      "vnd.docker.reference.digest": of.digest,
      "vnd.docker.reference.type": "attestation-manifest",
    };
    const manifest = await this.put(imageManifestType, content);
    return { ...manifest, platform: { architecture: "unknown", os: "unknown" }, annotations };
  }

  async finish(tag: string, entry: Descriptor, manifests: Descriptor[]): Promise<Layout> {
    const named = { ...entry, annotations: { "org.opencontainers.image.ref.name": tag } };
    await writeFile(join(this.#directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    const index = { schemaVersion: 2, mediaType: imageIndexType, manifests: [named] };
    await writeFile(join(this.#directory, "index.json"), JSON.stringify(index));
    return { directory: this.#directory, entry, manifests };
  }
}

/**
 * Writes a layout of one image.
 *
 * @param tag the name that the layout gives it; other tags have other layers
 * @param layerBytes the size of each layer, uncompressed
 */
export async function writeImage(
  directory: string,
  tag: string,
  layerBytes: readonly number[] = fiveLayers,
): Promise<Layout> {
  const writer = new LayoutWriter(directory);
  const manifest = await writer.putImage(tag, "amd64", layerBytes);
  return writer.finish(tag, manifest, [manifest]);
}

/**
 * Writes a layout of an index: an image of five layers for each of three architectures, each with an attestation.
 *
 * @param tag the name that the layout gives the index
 */
export async function writeIndex(directory: string, tag: string): Promise<Layout> {
  const writer = new LayoutWriter(directory);
  const manifests: Descriptor[] = [];
  const attestations: object[] = [];
  for (const architecture of threeArchitectures) {
    const manifest = await writer.putImage(tag, architecture, fiveLayers);
    manifests.push({ ...manifest, ...{ platform: { architecture, os: "linux" } } });
    attestations.push(await writer.putAttestation(manifest));
  }
  const content = { schemaVersion: 2, mediaType: imageIndexType, manifests: [...manifests, ...attestations] };
  return writer.finish(tag, await writer.put(imageIndexType, content), manifests);
}

/** What a layout holds: the digests that its files are named after, each computed from its bytes. */
export async function layoutContents(directory: string): Promise<string[]> {
  const blobs = join(directory, "blobs", "sha256");
  const digests: string[] = [];
  for (const file of await readdir(blobs)) {
    const hash = createHash("sha256");
    for await (const piece of createReadStream(join(blobs, file))) hash.update(piece);
    digests.push(`sha256:${hash.digest("hex")}`);
  }
  return digests.sort();
}
