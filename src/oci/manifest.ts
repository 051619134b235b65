/**
 * What a registry reads in a manifest, and what it refuses.
 *
 * Source: image-spec, manifest.md, image-index.md, descriptor.md; distribution-spec, "Pushing Manifests".
 * The bytes themselves are kept as they came; nothing here writes them.
 */
import { type AnyDigest, isWellFormedDigest, parseAnyDigest } from "./digest.ts";
import type { ReferenceDescriptor } from "./event.ts";
import { isMediaType, isNonDistributable, kindOfMediaType } from "./media-type.ts";

/** The largest manifest accepted, in bytes: what the specification expects registries to support. */
export const maxManifestBytes = 4 * 1024 * 1024;

/**
 * As what the repository must have a reference before it takes the manifest. `content`: a blob or a manifest; an
 * index may list what is no manifest, as the caches of BuildKit list layers.
 */
export type Requirement = "blob" | "manifest" | "content";

/**
 * A digest that a manifest names. One without a requirement (a layer that lies elsewhere, and whatever a manifest of
 * unknown type names) only keeps alive what it names.
 */
export type Reference = { digest: string; required?: Requirement };

/** What the registry knows of a manifest besides its bytes. */
export type ManifestFacts = {
  mediaType: string;
  references: Reference[];
  /** It need not be in the repository, nor be of an algorithm that could be. */
  subject?: AnyDigest;
  /** What the referrers API says of it: `artifactType`, or the media type of its config. */
  artifactType?: string;
};

/** The manifest's facts, or what is wrong with it in words for its author. */
export type ManifestReading = { ok: true; facts: ManifestFacts } | { ok: false; reason: string };

/** RFC 6838, section 4.2: neither half of a media type is longer than 127 characters. */
const maxTypeLength = 255;

type Json = { [name: string]: unknown };
type Descriptor = { mediaType: string; digest: AnyDigest; isElsewhere: boolean };

/** Thrown inside this module only; {@link readManifest} turns it into a reading. */
class Invalid extends Error {}

/**
 * Reads a manifest that was pushed with this `Content-Type` (without parameters; `undefined` for none).
 *
 * Images and indexes, OCI's and Docker's, must be what their schema says. Any other media type is taken as it
 * is, as long as it is a JSON object.
 */
export function readManifest(bytes: Uint8Array, contentType: string | undefined): ManifestReading {
  try {
    const manifest = parseObject(bytes);
    const mediaType = decideMediaType(manifest, contentType);
    return { ok: true, facts: readFacts(manifest, mediaType) };
  } catch (error) {
    if (error instanceof Invalid) return { ok: false, reason: error.message };
    throw error;
  }
}

/** The annotations of a manifest that {@link readManifest} has accepted; of other types, whatever has their form. */
export function annotationsOf(bytes: Uint8Array): Record<string, string> | undefined {
  const { annotations } = parseObject(bytes);
  return isAnnotations(annotations) ? annotations : undefined;
}

/** What {@link describeReferences} tells at most. */
const maxDescribed = 100;

/**
 * The descriptors of what an image or index, which {@link readManifest} has accepted, is made of; at most a hundred.
 * Of other manifests nothing is known.
 */
export function describeReferences(bytes: Uint8Array, mediaType: string): ReferenceDescriptor[] {
  if (kindOfMediaType(mediaType) === "other") return [];
  const { config, layers, manifests } = parseObject(bytes);
  const named = [config, layers, manifests].flat().filter(isObject).slice(0, maxDescribed);
  return named.map((entry) => ({
    mediaType: String(entry.mediaType),
    digest: String(entry.digest),
    size: Number(entry.size),
  }));
}

function parseObject(bytes: Uint8Array): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new Invalid(`not JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(value)) throw new Invalid("not a JSON object");
  return value;
}

function decideMediaType(manifest: Json, contentType: string | undefined): string {
  const declared = manifest.mediaType;
  if (declared !== undefined && (typeof declared !== "string" || !isMediaType(declared))) {
    throw new Invalid("mediaType is not a media type");
  }
  if (contentType !== undefined && !isMediaType(contentType)) {
    throw new Invalid(`the Content-Type ${JSON.stringify(contentType)} is not a media type`);
  }
  if (declared !== undefined && contentType !== undefined && declared !== contentType) {
    throw new Invalid(`mediaType is ${declared}, but the Content-Type is ${contentType}`);
  }
  const mediaType = contentType ?? declared;
  if (mediaType === undefined) throw new Invalid("neither a Content-Type header nor a mediaType field");
  return mediaType;
}

function readFacts(manifest: Json, mediaType: string): ManifestFacts {
  switch (kindOfMediaType(mediaType)) {
    case "image":
      return readImage(manifest, mediaType);
    case "index":
      return readIndex(manifest, mediaType);
    case "other":
      return readOther(manifest, mediaType);
  }
}

function readImage(manifest: Json, mediaType: string): ManifestFacts {
  checkSchemaVersion(manifest);
  // image-spec, manifest.md: a document must not be an image and an index at once (CVE-2021-41190).
  if (manifest.manifests !== undefined) throw new Invalid("an image manifest has no field manifests");
  const config = readDescriptor(manifest.config, "config");
  const layers = readDescriptors(manifest.layers, "layers");
  const references = [config, ...layers].map((descriptor) => referenceTo(descriptor, "blob"));
  return withDiscovery({ mediaType, references }, manifest, config.mediaType);
}

function readIndex(manifest: Json, mediaType: string): ManifestFacts {
  checkSchemaVersion(manifest);
  for (const field of ["config", "layers"]) {
    if (manifest[field] !== undefined) throw new Invalid(`an index has no field ${field}`);
  }
  const manifests = readDescriptors(manifest.manifests, "manifests");
  const references = manifests.map((child) => {
    return referenceTo(child, kindOfMediaType(child.mediaType) === "other" ? "content" : "manifest");
  });
  return withDiscovery({ mediaType, references }, manifest, undefined);
}

function referenceTo({ digest, isElsewhere }: Descriptor, required: Requirement): Reference {
  return isElsewhere ? { digest } : { digest, required };
}

/**
 * A manifest of unknown type: whatever in it looks like a descriptor keeps its content alive; nothing is required.
 * Its fields may mean something else than they do in an image (in-toto has another `subject`), and are then passed over.
 */
function readOther(manifest: Json, mediaType: string): ManifestFacts {
  const named = [manifest.config, manifest.layers, manifest.blobs, manifest.manifests].flat();
  const references = named.filter(isObject).flatMap(({ digest }) => {
    return typeof digest === "string" && isWellFormedDigest(digest) ? [{ digest }] : [];
  });
  const configType = isObject(manifest.config) ? manifest.config.mediaType : undefined;
  const [artifactType] = [manifest.artifactType, configType].filter(isFilledString);
  const { subject } = manifest;
  const subjectDigest =
    isObject(subject) && typeof subject.digest === "string" ? parseAnyDigest(subject.digest) : undefined;
  return describeFacts({ mediaType, references }, artifactType, subjectDigest);
}

/** Adds what the referrers API needs. distribution-spec: Listing Referrers. */
function withDiscovery(facts: ManifestFacts, manifest: Json, configType: string | undefined): ManifestFacts {
  const { subject, annotations } = manifest;
  const artifactType = readOptionalString(manifest, "artifactType") || configType;
  if (annotations !== undefined && annotations !== null && !isAnnotations(annotations)) {
    throw new Invalid("annotations must be an object of strings");
  }
  const hasSubject = subject !== undefined && subject !== null;
  return describeFacts(
    facts,
    artifactType,
    hasSubject ? readDescriptor(subject, "subject").digest : undefined,
  );
}

function describeFacts(
  facts: ManifestFacts,
  artifactType: string | undefined,
  subject: AnyDigest | undefined,
): ManifestFacts {
  return {
    ...facts,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject }),
  };
}

function checkSchemaVersion(manifest: Json): void {
  if (manifest.schemaVersion !== 2) throw new Invalid("schemaVersion must be 2");
}

function readDescriptors(value: unknown, field: string): Descriptor[] {
  if (!Array.isArray(value)) throw new Invalid(`${field} must be an array of descriptors`);
  return value.map((entry, position) => readDescriptor(entry, `${field}[${position}]`));
}

function readDescriptor(value: unknown, field: string): Descriptor {
  if (!isObject(value)) throw new Invalid(`${field} must be a descriptor`);
  const { mediaType, digest: digestText, size, urls } = value;
  if (typeof mediaType !== "string" || mediaType === "") throw new Invalid(`${field} has no mediaType`);
  if (mediaType.length > maxTypeLength) throw new Invalid(`the mediaType of ${field} is too long`);
  if (typeof digestText !== "string" || !isWellFormedDigest(digestText))
    throw new Invalid(`${field} has no valid digest`);
  const digest = parseAnyDigest(digestText);
  if (digest === undefined) throw new Invalid(`${field} has a malformed digest`);
  // int64, of which JSON.parse may have rounded the last digits.
  if (typeof size !== "number" || !Number.isInteger(size) || size < 0 || size > 2 ** 63) {
    throw new Invalid(`${field} has no valid size`);
  }
  const hasUrls = Array.isArray(urls) && urls.length > 0;
  return { mediaType, digest, isElsewhere: hasUrls || isNonDistributable(mediaType) };
}

function readOptionalString(manifest: Json, field: string): string | undefined {
  const value = manifest[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new Invalid(`${field} must be a string`);
  if (value.length > maxTypeLength) throw new Invalid(`${field} is too long`);
  return value;
}

function isAnnotations(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((entry) => typeof entry === "string");
}

function isFilledString(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= maxTypeLength;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
