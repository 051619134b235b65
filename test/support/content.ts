/** What tests push: content of its own for each test, and manifests that name it. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import type { DigestAlgorithm } from "../../src/oci/reference.ts";

export const mebibyte = 1024 * 1024;
export const configType = "application/vnd.oci.image.config.v1+json";
export const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";

export type Descriptor = { mediaType: string; digest: string; size: number; [field: string]: unknown };

/** Bytes that no other test has. */
export function content(sizeBytes = 100): Uint8Array {
  return new Uint8Array(randomBytes(sizeBytes));
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

export function describe(bytes: Uint8Array, mediaType: string, more: object = {}): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength, ...more };
}

/** The digest of nothing that any test pushes. */
export function unknownDigest(algorithm: DigestAlgorithm = "sha256"): string {
  return digestOf(content(), algorithm);
}

export function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

/** An image manifest; `more` replaces fields and adds some, and `undefined` there takes one away. */
export function imageManifest(config: Descriptor, layers: Descriptor[], more: object = {}): Uint8Array {
  return encode({ schemaVersion: 2, mediaType: imageManifestType, config, layers, ...more });
}

/** An image index; see {@link imageManifest} for `more`. */
export function imageIndex(manifests: Descriptor[], more: object = {}): Uint8Array {
  return encode({ schemaVersion: 2, mediaType: imageIndexType, manifests, ...more });
}

/** A body that is sent in chunks, without `Content-Length`. */
export function streamOf(...pieces: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

/** A part of a `multipart/byteranges`. */
export type RangePart = { contentType: string; contentRange: string; bytes: Uint8Array };

/** The parts of an answer to several ranges, read strictly as RFC 2046 (section 5.1.1) has them. */
export function rangeParts(headers: Headers, body: Uint8Array): RangePart[] {
  const boundary = /^multipart\/byteranges; boundary=([\w-]{1,70})$/.exec(
    headers.get("Content-Type") ?? "",
  )?.[1];
  assert(boundary !== undefined, `${headers.get("Content-Type")} is no multipart/byteranges`);
  // As characters of one byte each, so that positions are those of the bytes.
  const [before, ...sections] = `\r\n${Buffer.from(body).toString("latin1")}`.split(`\r\n--${boundary}`);
  assert.equal(before, "");
  assert.equal(sections.pop(), "--\r\n");
  return sections.map((section) => {
    const [, contentType = "", contentRange = ""] =
      /^\r\nContent-Type: (.+)\r\nContent-Range: (.+)\r\n\r\n/.exec(section) ?? [];
    const bytes = new Uint8Array(Buffer.from(section.slice(section.indexOf("\r\n\r\n") + 4), "latin1"));
    return { contentType, contentRange, bytes };
  });
}
