/** Descriptors, as manifests and lists of referrers have them. Source: image-spec, descriptor.md. */

import { isObject } from "../oci/manifest-fields.ts";
import { type Digest, parseDigest } from "../oci/reference.ts";

/** A platform. Source: image-spec, image-index.md. */
export type Platform = { os: string; architecture: string; variant?: string };

/** A reference to content whose digest is of an algorithm that can be verified. */
export type Descriptor = {
  mediaType: string;
  digest: Digest;
  size: number;
  artifactType?: string;
  annotations?: Record<string, string>;
  platform?: Platform;
};

/** Reads a descriptor; `undefined` if it is not one, or its algorithm is unknown. Other fields are dropped. */
export function readDescriptor(value: unknown): Descriptor | undefined {
  if (!isObject(value) || typeof value.digest !== "string" || typeof value.mediaType !== "string")
    return undefined;
  const digest = parseDigest(value.digest);
  const { size, artifactType } = value;
  if (digest === undefined || typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    return undefined;
  const annotations = stringsOf(value.annotations);
  const platform = readPlatform(value.platform);
  return {
    mediaType: value.mediaType,
    digest,
    size,
    ...(typeof artifactType === "string" && artifactType !== "" ? { artifactType } : {}),
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform }),
  };
}

/** The descriptors in a list; other entries are ignored. */
export function readDescriptors(value: unknown): Descriptor[] {
  return Array.isArray(value) ? value.flatMap((entry) => readDescriptor(entry) ?? []) : [];
}

/** The descriptors that a manifest consists of: none if it is not JSON. In one of unknown type, they may be anything. */
export function descriptorsIn(manifest: Uint8Array): Descriptor[] {
  const json = parse(manifest);
  if (!isObject(json)) return [];
  return [
    ...readDescriptors([json.config]),
    ...readDescriptors(json.layers),
    ...readDescriptors(json.manifests),
  ];
}

function parse(manifest: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(manifest));
  } catch {
    return undefined;
  }
}

function readPlatform(value: unknown): Platform | undefined {
  if (!isObject(value) || typeof value.os !== "string" || typeof value.architecture !== "string")
    return undefined;
  const variant = typeof value.variant === "string" && value.variant !== "" ? { variant: value.variant } : {};
  return { os: value.os, architecture: value.architecture, ...variant };
}

function stringsOf(value: unknown): Record<string, string> | undefined {
  if (!isObject(value)) return undefined;
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return Object.fromEntries(entries);
}
