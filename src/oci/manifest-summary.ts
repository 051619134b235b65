/**
 * What a manifest is, as people see it: an image, a chart, a signature; how large; for which platforms. It is read from
 * the manifest alone, so that lists need to read neither manifests nor blobs.
 *
 * Sources: image-spec, manifest.md, image-index.md, annotations.md; Helm, "OCI support"; cosign, "Signature
 * Specification"; sigstore, "Bundle format"; Notary Project, "Signature Specification"; BuildKit, "Attestation storage".
 */
import { annotationsIn, isObject, type Json, parseObject } from "./manifest-fields.ts";
import { kindOfMediaType } from "./media-type.ts";
import { type Digest, parseDigest } from "./reference.ts";

/**
 * The kinds of content. `attestation`: one of another kind than SBOMs and provenance, or of several; `artifact`: anything
 * that is none of the others.
 */
export const contentKinds = [
  "image",
  "index",
  "chart",
  "signature",
  "sbom",
  "provenance",
  "attestation",
  "artifact",
] as const;

/** One of {@link contentKinds}. */
export type ContentKind = (typeof contentKinds)[number];

/** The summary of a manifest. */
export type ManifestSummary = {
  kind: ContentKind;
  /** The bytes of its config and layers, each digest counted once; of an index, of the blobs that it lists. */
  contentBytes: number;
  /** As `os/architecture` or `os/architecture/variant`; `undefined` if only the config says it. */
  platforms?: string[];
  /** Its annotation `org.opencontainers.image.created`, in milliseconds since 1970. */
  createdAtMs?: number;
  /** The config of an image, which says the platform and more. */
  config?: Digest;
};

/** How many platforms of an index are remembered at most. */
const maxPlatforms = 50;

const imageConfigTypes = [
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
];

/** Summarises a manifest. It never fails: what does not conform to its media type is ignored. */
export function summarise(bytes: Uint8Array, mediaType: string): ManifestSummary {
  const manifest = parseObject(bytes);
  const createdAtMs = timeOf(annotationsIn(manifest)["org.opencontainers.image.created"]);
  const created = createdAtMs === undefined ? {} : { createdAtMs };
  if (kindOfMediaType(mediaType) === "index") {
    const entries = listOf(manifest.manifests);
    const blobs = entries.filter((entry) => kindOfMediaType(textOf(entry.mediaType)) === "other");
    // BuildKit exports a cache as an index of layers.
    const kind = entries.length > 0 && blobs.length === entries.length ? "artifact" : "index";
    return { kind, contentBytes: sizeOf(blobs), platforms: platformsIn(entries), ...created };
  }
  const layers = listOf(manifest.layers);
  const config = isObject(manifest.config) ? manifest.config : {};
  const kind = kindOf(manifest, textOf(config.mediaType), layers);
  const digest = kind === "image" ? parseDigest(textOf(config.digest)) : undefined;
  return {
    kind,
    contentBytes: sizeOf([config, ...layers, ...listOf(manifest.blobs)]),
    ...(digest === undefined ? { platforms: [] } : { config: digest }),
    ...created,
  };
}

/** What types of artifacts, configs and layers say about the kind. The first that matches counts. */
const kindsByType: [ContentKind, RegExp][] = [
  ["chart", /^application\/vnd\.cncf\.helm\.config\.v1\+json$/],
  ["signature", /^application\/vnd\.cncf\.notary\.signature$/],
  ["signature", /^application\/vnd\.dev\.cosign\.(?:artifact\.sig|simplesigning)\.v1\+json$/],
  ["attestation", /^application\/(?:vnd\.in-toto[.+].*|vnd\.dev\.cosign\.artifact\.att\.v1\+json)$/],
  ["attestation", /^application\/vnd\.dsse\.envelope\.v1\+json$/],
  [
    "sbom",
    /^(?:application|text)\/(?:(?:vnd\.)?(?:cyclonedx|syft|spdx)(?:[.+].*)?|vnd\.dev\.cosign\.artifact\.sbom\.v1\+json)$/,
  ],
];

const bundleType = /^application\/vnd\.dev\.sigstore\.bundle\b/;

function kindOf(manifest: Json, configType: string, layers: Json[]): ContentKind {
  const artifactType = textOf(manifest.artifactType);
  const types = [artifactType, configType, ...layers.map((layer) => textOf(layer.mediaType))];
  if (types.some((type) => bundleType.test(type))) return kindOfBundle(manifest);
  const isSame = layers.every((layer) => layer.mediaType === layers[0]?.mediaType);
  // A single layer of a type among others says nothing about the whole.
  const telling = types.slice(0, isSame ? 3 : 2);
  const found = kindsByType.find(([, pattern]) => telling.some((type) => pattern.test(type.toLowerCase())));
  if (found?.[0] === "attestation") return kindOfPredicates(layers.map(predicateOf));
  if (found !== undefined) return found[0];
  return imageConfigTypes.includes(configType) ? "image" : "artifact";
}

/** A sigstore bundle is a signature, or an attestation whose predicate says what it is. */
function kindOfBundle(manifest: Json): ContentKind {
  const annotations = annotationsIn(manifest);
  const predicate = annotations["dev.sigstore.bundle.predicateType"] ?? "";
  const isSignature = predicate === "" || /\/cosign\/sign\//.test(predicate);
  return isSignature ? "signature" : kindOfPredicates([predicate]);
}

/** What a layer with a statement of in-toto says that it is about. BuildKit and cosign have a name of their own for it. */
function predicateOf(layer: Json): string {
  const { "in-toto.io/predicate-type": one, predicateType: other } = annotationsIn(layer);
  return one ?? other ?? "";
}

/** What statements with these predicates are. */
function kindOfPredicates(predicates: string[]): ContentKind {
  if (predicates.length === 0) return "attestation";
  if (predicates.every((predicate) => /spdx|cyclonedx/i.test(predicate))) return "sbom";
  const isProvenance = predicates.every((predicate) => /\bslsa\.dev\/provenance\b/.test(predicate));
  return isProvenance ? "provenance" : "attestation";
}

/** The platforms of the images of an index, each once. BuildKit lists attestations as `unknown/unknown`. */
function platformsIn(entries: Json[]): string[] {
  const named = entries.flatMap(({ platform }) => {
    const text = isObject(platform) ? platformOf(platform) : undefined;
    return text === undefined ? [] : [text];
  });
  return [...new Set(named)].slice(0, maxPlatforms);
}

/** A platform as text: `linux/arm/v7`; `undefined` if it has none. */
export function platformOf({ os, architecture, variant }: Json): string | undefined {
  const parts = [os, architecture, ...(variant === undefined || variant === "" ? [] : [variant])];
  if (!parts.every((part) => typeof part === "string" && /^[\w.-]{1,32}$/.test(part))) return undefined;
  return os === "unknown" ? undefined : parts.join("/");
}

const endOfYear9999 = Date.UTC(10_000, 0);

/** A time in RFC 3339, in milliseconds since 1970; `undefined` if it is none, or not from 1970 to 9999. */
export function timeOf(text: unknown): number | undefined {
  if (typeof text !== "string" || text.length > 64) return undefined;
  const time = Date.parse(text);
  return time >= 0 && time < endOfYear9999 ? time : undefined;
}

function sizeOf(descriptors: Json[]): number {
  const sizes = new Map(descriptors.map(({ digest, size }) => [digest, size]));
  const counted = [...sizes.values()].filter((size) => typeof size === "number" && size > 0);
  return Math.min(
    counted.reduce<number>((sum, size) => sum + Number(size), 0),
    Number.MAX_SAFE_INTEGER,
  );
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
