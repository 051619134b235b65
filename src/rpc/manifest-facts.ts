/** Plain data about manifests and tags in lists, and about their use, as it crosses RPC. */
import type { ContentKind } from "../oci/manifest-summary.ts";
import type { Digest, Tag } from "../oci/reference.ts";

/**
 * What lists show of a manifest. `kind` and `contentBytes` are missing until the alarm has read a manifest of an earlier
 * release.
 */
export type ManifestDescription = {
  kind?: ContentKind;
  /** The bytes of its config and layers; of an index, of the images that it lists and that exist. */
  contentBytes?: number;
  /** Missing if only its config says them, and nobody has asked yet. */
  platforms?: string[];
  /** The config of an image. */
  config?: Digest;
  createdAtMs?: number;
  pushedAtMs: number;
  /** Missing for manifests of earlier releases. */
  pushedBy?: string;
  /** The day of its last use, or of that of an image that it lists, counted from 1970; missing if it was never used. */
  usedDay?: number;
};

/** A manifest in a list, with the first of the tags that point at it. */
export type ManifestEntry = ManifestDescription & {
  digest: Digest;
  mediaType: string;
  sizeBytes: number;
  tags: Tag[];
  artifactType?: string;
  subject?: string;
};

/** A tag in a list, with its manifest. `updatedBy` is missing once that move of the tag is forgotten. */
export type TagEntry = Omit<ManifestEntry, "tags"> & { tag: Tag; updatedAtMs: number; updatedBy?: string };

/**
 * A manifest, the first of the indexes that list it, and, of an index, the first of the manifests that it lists and that
 * exist.
 */
export type ManifestDetails = ManifestEntry & { indexes: Digest[]; manifests: Omit<ManifestEntry, "tags">[] };

/** What the config of an image says, to be stored with its manifest. */
export type ConfigFacts = { manifest: Digest; platforms: string[]; createdAtMs?: number };

/** A use of a manifest, by a tag or by its digest. */
export type Use = { digest: Digest; tag?: Tag };
