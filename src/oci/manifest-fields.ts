/**
 * What the fields of a manifest say, as `JSON.parse` reads them.
 *
 * Source: image-spec, manifest.md, image-index.md, descriptor.md; distribution-spec, "Pushing Manifests".
 */

import { InvalidManifest } from "./manifest-source.ts";
import { isNonDistributable, kindOfMediaType } from "./media-type.ts";
import { type AnyDigest, isWellFormedDigest, parseAnyDigest } from "./reference.ts";

/** RFC 6838, section 4.2: neither half of a media type is longer than 127 characters. */
const maxTypeLength = 255;

/**
 * As what the repository must have a reference before it takes the manifest. `content`: a blob or a manifest; an
 * index may list what is no manifest, as the caches of BuildKit list layers.
 */
export type Requirement = "blob" | "manifest" | "content";

/**
 * A digest that a manifest names. One without a requirement (a layer that lies elsewhere, and whatever a manifest of
 * unknown type names) only keeps alive what it names.
 */
export type Reference = { digest: AnyDigest; required?: Requirement };

/** What the registry knows of a manifest besides its bytes. */
export type ManifestFacts = {
  mediaType: string;
  references: Reference[];
  /** It need not be in the repository, nor be of an algorithm that could be. */
  subject?: AnyDigest;
  /** What the referrers API says of it: `artifactType`, or the media type of its config. */
  artifactType?: string;
};

/** A JSON object. */
export type Json = { [name: string]: unknown };
type Descriptor = { mediaType: string; digest: AnyDigest; hasUrls: boolean };

/** Where a descriptor stands: in `config`, `layers` or `manifests`. */
type Place = "config" | "layer" | "child";

/** Whether a repository may lack what a descriptor names, as it lies elsewhere. */
export type Waiver = (descriptor: Descriptor, place: Place) => boolean;

/** A layer may lie elsewhere, and nothing else. What an index lists is one if its type is no manifest's. */
export const waiverOfPushes: Waiver = (descriptor, place) => {
  const isLayer =
    place === "layer" || (place === "child" && kindOfMediaType(descriptor.mediaType) === "other");
  return isLayer && liesElsewhere(descriptor);
};

/** What earlier releases took. */
export const waiverOfStored: Waiver = liesElsewhere;

function liesElsewhere({ mediaType, hasUrls }: Descriptor): boolean {
  return isNonDistributable(mediaType) || hasUrls;
}

/**
 * Reads a manifest by what its media type says that it is.
 *
 * @throws InvalidManifest where it is something else.
 */
export function readFacts(manifest: Json, mediaType: string, waiver: Waiver): ManifestFacts {
  switch (kindOfMediaType(mediaType)) {
    case "image":
      return readImage(manifest, mediaType, waiver);
    case "index":
      return readIndex(manifest, mediaType, waiver);
    case "other":
      return readOther(manifest, mediaType);
  }
}

function readImage(manifest: Json, mediaType: string, waiver: Waiver): ManifestFacts {
  checkSchemaVersion(manifest);
  // image-spec, manifest.md: a document must not be an image and an index at once (CVE-2021-41190).
  if (manifest.manifests !== undefined) throw new InvalidManifest("an image manifest has no field manifests");
  const config = readDescriptor(manifest.config, "config");
  const layers = readDescriptors(manifest.layers, "layers");
  const references = [
    referenceTo(config, "blob", waiver(config, "config")),
    ...layers.map((layer) => referenceTo(layer, "blob", waiver(layer, "layer"))),
  ];
  return withDiscovery({ mediaType, references }, manifest, config.mediaType);
}

function readIndex(manifest: Json, mediaType: string, waiver: Waiver): ManifestFacts {
  checkSchemaVersion(manifest);
  for (const field of ["config", "layers"]) {
    if (manifest[field] !== undefined) throw new InvalidManifest(`an index has no field ${field}`);
  }
  const manifests = readDescriptors(manifest.manifests, "manifests");
  const references = manifests.map((child) => {
    const required = kindOfMediaType(child.mediaType) === "other" ? "content" : "manifest";
    return referenceTo(child, required, waiver(child, "child"));
  });
  return withDiscovery({ mediaType, references }, manifest, undefined);
}

function referenceTo({ digest }: Descriptor, required: Requirement, isWaived: boolean): Reference {
  return isWaived ? { digest } : { digest, required };
}

/**
 * A manifest of unknown type, of which nothing is required. Its fields may mean something else than they do in an image
 * (in-toto has another `subject`), and are then passed over.
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
  // That it is an int64 is seen in the source alone: JSON.parse rounds.
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

/** Whether a value is annotations: an object of strings. */
export function isAnnotations(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((entry) => typeof entry === "string");
}

function isFilledString(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= maxTypeLength;
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
