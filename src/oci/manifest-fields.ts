/**
 * Reads the fields of a manifest after `JSON.parse`.
 *
 * Source: image-spec, manifest.md, image-index.md, descriptor.md; distribution-spec, "Pushing Manifests".
 */

import { InvalidManifest } from "./manifest-source.ts";
import { isNonDistributable, kindOfMediaType } from "./media-type.ts";
import { type AnyDigest, isWellFormedDigest, parseAnyDigest } from "./reference.ts";

/** RFC 6838, section 4.2: neither half of a media type is longer than 127 characters. */
const maxTypeLength = 255;

/**
 * The kind of content that a reference must point at before the repository accepts the manifest. `content`: a blob or a
 * manifest, as an index may list content that is not a manifest: BuildKit's caches list layers.
 */
export type Requirement = "blob" | "manifest" | "content";

/**
 * A digest that a manifest references. Without `required` (a layer that is stored elsewhere, or any reference of a
 * manifest of unknown type) it may be missing; it only protects content that exists.
 */
export type Reference = { digest: AnyDigest; required?: Requirement };

/** The facts that the registry reads from a manifest. */
export type ManifestFacts = {
  mediaType: string;
  references: Reference[];
  /** It need not exist in the repository, and its algorithm may be unsupported. */
  subject?: AnyDigest;
  /** The artifact type for the referrers API: `artifactType`, or the media type of the config. */
  artifactType?: string;
};

/** A JSON object. */
export type Json = { [name: string]: unknown };
type Descriptor = { mediaType: string; digest: AnyDigest; hasUrls: boolean };

/** The field that a descriptor is in: `config`, `layers` or `manifests`. */
type Place = "config" | "layer" | "child";

/** Whether the content of a descriptor may be missing from the repository, as it is stored elsewhere. */
export type IsOptional = (descriptor: Descriptor, place: Place) => boolean;

/** For pushes: only layers may be stored elsewhere. A child of an index is a layer if its type is not a manifest's. */
export const isOptionalInPush: IsOptional = (descriptor, place) => {
  const isLayer =
    place === "layer" || (place === "child" && kindOfMediaType(descriptor.mediaType) === "other");
  return isLayer && isStoredElsewhere(descriptor);
};

/** For stored manifests: earlier releases accepted any content that is stored elsewhere. */
export const isOptionalInStored: IsOptional = isStoredElsewhere;

function isStoredElsewhere({ mediaType, hasUrls }: Descriptor): boolean {
  return isNonDistributable(mediaType) || hasUrls;
}

/**
 * Reads a manifest as an image, an index or another manifest, by its media type.
 *
 * @throws InvalidManifest if it does not conform to its media type.
 */
export function readFacts(manifest: Json, mediaType: string, isOptional: IsOptional): ManifestFacts {
  switch (kindOfMediaType(mediaType)) {
    case "image":
      return readImage(manifest, mediaType, isOptional);
    case "index":
      return readIndex(manifest, mediaType, isOptional);
    case "other":
      return readOther(manifest, mediaType);
  }
}

function readImage(manifest: Json, mediaType: string, isOptional: IsOptional): ManifestFacts {
  checkSchemaVersion(manifest);
  // image-spec, manifest.md: a document must not be an image and an index at once (CVE-2021-41190).
  if (manifest.manifests !== undefined) throw new InvalidManifest("an image manifest has no field manifests");
  const config = readDescriptor(manifest.config, "config");
  const layers = readDescriptors(manifest.layers, "layers");
  const references = [
    referenceTo(config, "blob", isOptional(config, "config")),
    ...layers.map((layer) => referenceTo(layer, "blob", isOptional(layer, "layer"))),
  ];
  return withDiscovery({ mediaType, references }, manifest, config.mediaType);
}

function readIndex(manifest: Json, mediaType: string, isOptional: IsOptional): ManifestFacts {
  checkSchemaVersion(manifest);
  for (const field of ["config", "layers"]) {
    if (manifest[field] !== undefined) throw new InvalidManifest(`an index has no field ${field}`);
  }
  const manifests = readDescriptors(manifest.manifests, "manifests");
  const references = manifests.map((child) => {
    const required = kindOfMediaType(child.mediaType) === "other" ? "content" : "manifest";
    return referenceTo(child, required, isOptional(child, "child"));
  });
  return withDiscovery({ mediaType, references }, manifest, undefined);
}

function referenceTo({ digest }: Descriptor, required: Requirement, mayBeMissing: boolean): Reference {
  return mayBeMissing ? { digest } : { digest, required };
}

/**
 * Reads a manifest of unknown type, which may have any form. Its fields may have another meaning than in an image
 * (in-toto has another `subject`), and are ignored then.
 */
export function readOther(manifest: Json, mediaType: string): ManifestFacts {
  const configType = isObject(manifest.config) ? manifest.config.mediaType : undefined;
  const [artifactType] = [manifest.artifactType, configType].filter(isFilledString);
  const { subject } = manifest;
  const subjectDigest =
    isObject(subject) && typeof subject.digest === "string" ? parseAnyDigest(subject.digest) : undefined;
  return describeFacts({ mediaType, references: [] }, artifactType, subjectDigest);
}

/** Adds what the referrers API needs. distribution-spec: Listing Referrers. */
function withDiscovery(facts: ManifestFacts, manifest: Json, configType: string | undefined): ManifestFacts {
  const { subject, annotations } = manifest;
  const artifactType = readOptionalString(manifest, "artifactType") || configType;
  if (annotations !== undefined && annotations !== null && !isAnnotations(annotations)) {
    throw new InvalidManifest("annotations must be an object of strings");
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
  if (manifest.schemaVersion !== 2) throw new InvalidManifest("schemaVersion must be 2");
}

function readDescriptors(value: unknown, field: string): Descriptor[] {
  if (!Array.isArray(value)) throw new InvalidManifest(`${field} must be an array of descriptors`);
  return value.map((entry, position) => readDescriptor(entry, `${field}[${position}]`));
}

function readDescriptor(value: unknown, field: string): Descriptor {
  if (!isObject(value)) throw new InvalidManifest(`${field} must be a descriptor`);
  const { mediaType, digest: digestText, size, urls } = value;
  if (typeof mediaType !== "string" || mediaType === "")
    throw new InvalidManifest(`${field} has no mediaType`);
  if (mediaType.length > maxTypeLength) throw new InvalidManifest(`the mediaType of ${field} is too long`);
  if (typeof digestText !== "string" || !isWellFormedDigest(digestText))
    throw new InvalidManifest(`${field} has no valid digest`);
  const digest = parseAnyDigest(digestText);
  if (digest === undefined) throw new InvalidManifest(`${field} has a malformed digest`);
  // JSON.parse rounds numbers, so whether it is an int64 is checked in the source text.
  if (typeof size !== "number") throw new InvalidManifest(`${field} has no valid size`);
  const hasUrls = isTexts(urls) && urls.some((url) => url !== "");
  return { mediaType, digest, hasUrls };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function readOptionalString(manifest: Json, field: string): string | undefined {
  const value = manifest[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new InvalidManifest(`${field} must be a string`);
  if (value.length > maxTypeLength) throw new InvalidManifest(`${field} is too long`);
  return value;
}

/** Whether a value has the form of annotations: an object of strings. */
export function isAnnotations(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((entry) => typeof entry === "string");
}

/** The annotations of a stored manifest; none if they do not have the form of annotations. */
export function annotationsIn({ annotations }: Json): Record<string, string> {
  return isAnnotations(annotations) ? annotations : {};
}

/** The JSON object that bytes are; an empty one if they are none. */
export function parseObject(bytes: Uint8Array): Json {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function isFilledString(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= maxTypeLength;
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
