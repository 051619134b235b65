/**
 * Reads and validates manifests.
 *
 * Source: image-spec, manifest.md, image-index.md, descriptor.md; distribution-spec, "Pushing Manifests".
 * The bytes are stored as they were pushed; nothing here changes them.
 */

import type { Rejection, Result } from "./errors.ts";
import type { ReferenceDescriptor } from "./event.ts";
import {
  isAnnotations,
  isObject,
  isOptionalInPush,
  isOptionalInStored,
  type Json,
  type ManifestFacts,
  readFacts,
  readOther,
} from "./manifest-fields.ts";
import {
  InvalidManifest,
  type ManifestSource,
  maxReferences,
  readSource,
  tooManyReferences,
} from "./manifest-source.ts";
import { isMediaType, isSchema1Type, kindOfMediaType } from "./media-type.ts";
import type { AnyDigest } from "./reference.ts";

/** The largest manifest that is accepted, in bytes: the size that the specification expects registries to support. */
export const maxManifestBytes = 4 * 1024 * 1024;

/** The manifest's facts, or what is wrong with it, in words for its author. */
export type ManifestReading = Result<{ facts: ManifestFacts }, Rejection>;

/**
 * Reads a manifest that is pushed with this `Content-Type` (without parameters; `undefined` for none).
 *
 * Images and indexes, OCI's and Docker's, must conform to their schema and have the same meaning for every client. A
 * manifest of another media type need only be a JSON object that is not of Docker's schema 1.
 */
export function readManifest(bytes: Uint8Array, contentType: string | undefined): ManifestReading {
  try {
    const text = decode(bytes);
    const source = readSource(text, true);
    const manifest = parseObject(text);
    refuseSchema1(source, manifest, contentType);
    const mediaType = decideMediaType(manifest, contentType);
    if (source.fault !== undefined && kindOfMediaType(mediaType) !== "other") {
      throw new InvalidManifest(source.fault);
    }
    const facts = readFacts(manifest, mediaType, isOptionalInPush);
    // Only references with unsupported algorithms: the source has the others.
    if (facts.references.length > maxReferences) throw tooManyReferences();
    return { ok: true, facts: withNamed(facts, source) };
  } catch (error) {
    if (error instanceof InvalidManifest) return { ok: false, reason: error.message };
    throw error;
  }
}

/**
 * Reads a stored manifest, whatever rules applied when it was pushed. It never fails, and finds every reference that
 * some client could read in it.
 */
export function readStoredManifest(bytes: Uint8Array, mediaType: string): ManifestFacts {
  const source = readSource(new TextDecoder().decode(bytes), false);
  try {
    const manifest = parseObject(decode(bytes));
    return withNamed(readLeniently(manifest, mediaType), source);
  } catch (error) {
    if (error instanceof InvalidManifest) return withNamed({ mediaType, references: [] }, source);
    throw error;
  }
}

function readLeniently(manifest: Json, mediaType: string): ManifestFacts {
  try {
    return readFacts(manifest, mediaType, isOptionalInStored);
  } catch (error) {
    if (error instanceof InvalidManifest) return readOther(manifest, mediaType);
    throw error;
  }
}

/**
 * Adds the digests in the source to the references that the manifest requires. The subject is not a reference: a
 * referrer does not protect its subject from collection.
 */
function withNamed(facts: ManifestFacts, { digests, subjects }: ManifestSource): ManifestFacts {
  const required = new Set<AnyDigest>(facts.references.map(({ digest }) => digest));
  const named = new Set<AnyDigest>([...digests, ...subjects.filter((digest) => digest !== facts.subject)]);
  const others = Array.from(named.difference(required), (digest) => ({ digest }));
  return { ...facts, references: [...facts.references, ...others] };
}

/** The annotations of a manifest that {@link readManifest} has accepted. Manifests of other types may have none. */
export function annotationsOf(bytes: Uint8Array): Record<string, string> | undefined {
  const { annotations } = parseObject(decode(bytes));
  return isAnnotations(annotations) ? annotations : undefined;
}

/** How many descriptors {@link describeReferences} returns at most. */
const maxDescribed = 100;

/**
 * The descriptors in an image or index that {@link readManifest} has accepted; at most a hundred. Other manifests have
 * none, as their form is unknown.
 */
export function describeReferences(bytes: Uint8Array, mediaType: string): ReferenceDescriptor[] {
  if (kindOfMediaType(mediaType) === "other") return [];
  const { config, layers, manifests } = parseObject(decode(bytes));
  const named = [config, layers, manifests].flat().filter(isObject).slice(0, maxDescribed);
  return named.map((entry) => ({
    mediaType: String(entry.mediaType),
    digest: String(entry.digest),
    size: Number(entry.size),
  }));
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw notJson(error);
  }
}

function parseObject(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw notJson(error);
  }
  if (!isObject(value)) throw new InvalidManifest("not a JSON object");
  return value;
}

function notJson(error: unknown): InvalidManifest {
  return new InvalidManifest(`not JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`);
}

/** Clients read a manifest of any type as schema 1 if it looks like that. */
function refuseSchema1({ isSchema1 }: ManifestSource, manifest: Json, contentType = ""): void {
  const types = [contentType, manifest.mediaType].filter((type) => typeof type === "string");
  if (!isSchema1 && !types.some(isSchema1Type)) return;
  throw new InvalidManifest(
    "Docker's manifests of schema 1 are not taken: convert the image, as " +
      "`skopeo copy --format v2s2 docker://<from> docker://<to>` does, or docker if it pulls and pushes it",
  );
}

function decideMediaType(manifest: Json, contentType: string | undefined): string {
  const declared = manifest.mediaType;
  if (declared !== undefined && (typeof declared !== "string" || !isMediaType(declared))) {
    throw new InvalidManifest("mediaType is not a media type");
  }
  if (contentType !== undefined && !isMediaType(contentType)) {
    throw new InvalidManifest(`the Content-Type ${JSON.stringify(contentType)} is not a media type`);
  }
  // The case of a Content-Type means nothing (RFC 9110, section 8.3.1).
  const areSame = declared?.toLowerCase() === contentType?.toLowerCase();
  if (declared !== undefined && contentType !== undefined && !areSame) {
    throw new InvalidManifest(`mediaType is ${declared}, but the Content-Type is ${contentType}`);
  }
  const mediaType = declared ?? contentType;
  if (mediaType === undefined)
    throw new InvalidManifest("neither a Content-Type header nor a mediaType field");
  return mediaType;
}
