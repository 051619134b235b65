/** What the registry must hold after the requests so far, as the model has it. */
import { readManifest } from "../../src/oci/manifest.ts";
import type { ManifestFacts } from "../../src/oci/manifest-fields.ts";

export type StoredManifest = { bytes: Uint8Array; facts: ManifestFacts };

/** A repository that something was pushed to. */
export type Repository = {
  blobs: Map<string, Uint8Array>;
  manifests: Map<string, StoredManifest>;
  tags: Map<string, string>;
};

/** All repositories, and all bytes that were ever stored: none are deleted within the time of a test. */
export class World {
  readonly repositories = new Map<string, Repository>();
  readonly stored = new Set<string>();

  /** Links a blob in a repository, which there is from then on. */
  addBlob(name: string, digest: string, bytes: Uint8Array): void {
    this.#found(name).blobs.set(digest, bytes);
    this.stored.add(digest);
  }

  /** Stores a manifest, and points tags at it. */
  addManifest(name: string, digest: string, manifest: StoredManifest, tags: string[]): void {
    const repository = this.#found(name);
    repository.manifests.set(digest, manifest);
    for (const tag of tags) repository.tags.set(tag, digest);
  }

  /** The bytes of a blob, in a repository that links it. */
  blob(name: string, digest: string): Uint8Array | undefined {
    return this.repositories.get(name)?.blobs.get(digest);
  }

  /** The manifest that a tag or digest stands for, and its digest. */
  manifest(name: string, reference: string): (StoredManifest & { digest: string }) | undefined {
    const repository = this.repositories.get(name);
    const digest = repository?.tags.get(reference) ?? reference;
    const manifest = repository?.manifests.get(digest);
    return manifest && { ...manifest, digest };
  }

  /** Whether a manifest of a repository names a digest. */
  isReferenced(name: string, digest: string): boolean {
    const manifests = [...(this.repositories.get(name)?.manifests.values() ?? [])];
    return manifests.some(
      ({ facts }) =>
        facts.subject === digest || facts.references.some((reference) => reference.digest === digest),
    );
  }

  /** Which of a manifest's references a repository lacks, so that it must not take it. */
  missing(name: string, { facts }: StoredManifest): string[] {
    const repository = this.repositories.get(name);
    const isBlob = (digest: string) => repository?.blobs.has(digest) === true;
    const isManifest = (digest: string) => repository?.manifests.has(digest) === true;
    const isThere = {
      blob: isBlob,
      manifest: isManifest,
      content: (digest: string) => isBlob(digest) || isManifest(digest),
    };
    return facts.references
      .filter(({ digest, required }) => required !== undefined && !isThere[required](digest))
      .map(({ digest }) => digest);
  }

  #found(name: string): Repository {
    const known = this.repositories.get(name);
    if (known !== undefined) return known;
    const repository: Repository = { blobs: new Map(), manifests: new Map(), tags: new Map() };
    this.repositories.set(name, repository);
    return repository;
  }
}

/** A manifest as it is stored; `undefined` for what is none. */
export function toManifest(bytes: Uint8Array, contentType: string | undefined): StoredManifest | undefined {
  const reading = readManifest(bytes, contentType);
  return reading.ok ? { bytes, facts: reading.facts } : undefined;
}
