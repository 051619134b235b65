/** Sources and destinations of a copy: repositories, image layouts, archives. */
import type { Descriptor } from "../../client/descriptor.ts";
import type { BlobSource } from "../../client/push-blob.ts";
import type { Digest, RepositoryName } from "../../oci/reference.ts";
import type { Attempts } from "../attempts.ts";

/** A manifest, and its type. */
export type Manifest = { digest: Digest; mediaType: string; bytes: Uint8Array };

/** A manifest to copy, and the tags that it gets. */
export type Root = { digest: Digest; mediaType: string; tags: string[] };

/** What a source has of what is meant. `failed`: by their tags, with the reasons. */
export type Found = { roots: Root[]; failed: Attempts["failed"] };

/** Where content comes from. */
export type Source = {
  /** As people call it. */
  name: string;
  /** The manifests that are meant, and which of several could not be asked for. */
  roots(): Promise<Found>;
  /** A manifest; `undefined` where there is none. */
  manifest(digest: Digest, mediaType: string): Promise<Manifest | undefined>;
  /** Whether it has a manifest, where that is known at once: of files. */
  hasManifest?(digest: Digest): Promise<boolean>;
  /** How large a blob is, or -1 where that is not said; `undefined` where there is none. */
  blobSize(digest: Digest): Promise<number | undefined>;
  openBlob(digest: Digest, size: number): Promise<BlobSource>;
  /** The referrers of a manifest: signatures and the like. */
  referrers(digest: Digest): Promise<Descriptor[]>;
  /** Manifests that stand for others by their tags: signatures as cosign stores them. */
  signatures(digest: Digest): Promise<Root[]>;
  /** The repository that it is, if it is one of a registry. */
  repository?: { registry: URL; name: RepositoryName };
};

/** The outcome of copying a blob. */
export type BlobOutcome = "sent" | "mounted";

/** A destination of content. */
export type Destination = {
  name: string;
  /** The digest that a tag points at; `undefined` where there is no such tag. */
  tagged(tag: string): Promise<Digest | undefined>;
  hasManifest(digest: Digest): Promise<boolean>;
  /** @param size as a descriptor has it */
  hasBlob(digest: Digest, size: number | undefined): Promise<boolean>;
  /** @param from a repository of the same registry that has it */
  putBlob(
    digest: Digest,
    open: () => Promise<BlobSource>,
    onBytes: (count: number) => void,
    from: RepositoryName | undefined,
  ): Promise<BlobOutcome>;
  /** Stores a manifest, under tags if there are any. `subject`: the manifest that it refers to. */
  putManifest(manifest: Manifest, tags: readonly string[], subject: Subject | undefined): Promise<void>;
  /** Writes what has to be written last. */
  finish?(): Promise<void>;
  registry?: URL;
};

/** What a manifest refers to, and how it is listed there. */
export type Subject = { digest: Digest; referrer: Descriptor };
