/** An OCI image layout on disk: one image for several architectures. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Content } from "./content.ts";

const tarBlockBytes = 512;
const layerBytes = 300_000;

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
  /** The index that names one manifest for each architecture. */
  index: Descriptor;
  /** Those manifests. */
  manifests: Descriptor[];
}

/** `sha256:…` of bytes. */
export function sha256(bytes: string | Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A tar archive with one file. Source: POSIX, "ustar Interchange Format". */
function tar(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(tarBlockBytes);
  header.write(name, 0);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${content.byteLength.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\0", 257);
  header.write("00", 263);
  const checksum = [...header].reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
  const padding = Buffer.alloc((tarBlockBytes - (content.byteLength % tarBlockBytes)) % tarBlockBytes);
  return Buffer.concat([header, content, padding, Buffer.alloc(2 * tarBlockBytes)]);
}

/**
 * Writes a layout whose index has an image for each architecture.
 *
 * @param tag the name that the layout's entry point gives the index
 */
export async function writeLayout(
  directory: string,
  tag: string,
  architectures: readonly string[] = ["amd64", "arm64"],
): Promise<Layout> {
  const blobs = join(directory, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (mediaType: string, content: Buffer | object): Promise<Descriptor> => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const digest = sha256(bytes);
    await writeFile(join(blobs, digest.slice("sha256:".length)), bytes);
    return { mediaType, digest, size: bytes.byteLength };
  };
  const image = async (architecture: string) => {
    const layer = tar(`${architecture}.bin`, new Content(architecture, layerBytes).read(0, layerBytes));
    const config = await put("application/vnd.oci.image.config.v1+json", {
      architecture,
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [sha256(layer)] },
    });
    const layers = [await put("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(layer))];
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const manifest = await put(mediaType, { schemaVersion: 2, mediaType, config, layers });
    return { ...manifest, platform: { architecture, os: "linux" } };
  };
  const manifests = await Promise.all(architectures.map(image));
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const index = await put(mediaType, { schemaVersion: 2, mediaType, manifests });
  const entry = { ...index, annotations: { "org.opencontainers.image.ref.name": tag } };
  await writeFile(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(directory, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  return { directory, index, manifests };
}

/** What a layout holds: the digests that its files are named after, each computed from its bytes. */
export async function layoutContents(directory: string): Promise<string[]> {
  const blobs = join(directory, "blobs", "sha256");
  const files = await readdir(blobs);
  const digests = await Promise.all(files.map(async (file) => sha256(await readFile(join(blobs, file)))));
  return digests.sort();
}
