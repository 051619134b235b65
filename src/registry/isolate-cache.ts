/**
 * What one isolate remembers between requests: where blobs and manifests of repositories are, for 30 s, and bytes by
 * digest. Bytes are looked up only after the repository was found to have them, so a digest alone opens nothing.
 */
import type { Clock } from "../clock.ts";
import type { BlobLocation, ManifestRow } from "../storage/replica.ts";
import { ByteLru } from "./lru.ts";

/** How long the isolate takes a repository's word for what it links, in milliseconds. */
const linkTtlMs = 30_000;

/** How long the replica is not believed about what this isolate saw deleted: it may not know yet. */
const deletionTtlMs = 150_000;

const linkCacheBytes = 8 * 1024 * 1024;
const manifestCacheBytes = 16 * 1024 * 1024;
const configCacheBytes = 8 * 1024 * 1024;

/** Blobs up to this size are kept in memory when they are read whole. */
export const smallBlobBytes = 64 * 1024;

type Expiring<T> = { value: T; until: number };

/** The caches of one isolate. */
export class IsolateCache {
  readonly #clock: Clock;
  readonly #links = new ByteLru<Expiring<BlobLocation>>(linkCacheBytes, () => 400);
  readonly #mediaTypes = new ByteLru<Expiring<string>>(linkCacheBytes, () => 400);
  readonly #deletions = new ByteLru<number>(linkCacheBytes, () => 300);
  readonly #manifests = new ByteLru<Uint8Array>(manifestCacheBytes, (bytes) => bytes.byteLength + 200);
  readonly #smallBlobs = new ByteLru<Uint8Array>(configCacheBytes, (bytes) => bytes.byteLength + 200);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Where a blob is that the repository links. */
  blob(repository: string, digest: string): BlobLocation | undefined {
    if (this.wasDeleted(repository, digest)) return undefined;
    return this.#fresh(this.#links.get(`${repository}@${digest}`));
  }

  setBlob(repository: string, location: BlobLocation): void {
    if (this.wasDeleted(repository, location.digest)) return;
    this.#links.set(`${repository}@${location.digest}`, this.#expiring(location));
  }

  forgetBlob(repository: string, digest: string): void {
    this.#links.delete(`${repository}@${digest}`);
  }

  /** A manifest of the repository, without its plan. */
  manifest(repository: string, digest: string): Omit<ManifestRow, "plan"> | undefined {
    if (this.wasDeleted(repository, digest)) return undefined;
    const mediaType = this.#fresh(this.#mediaTypes.get(`${repository}@${digest}`));
    const bytes = mediaType === undefined ? undefined : this.#manifests.get(digest);
    return mediaType === undefined || bytes === undefined ? undefined : { mediaType, bytes };
  }

  /** Keeps a manifest, and where its blobs are. */
  setManifest(repository: string, digest: string, row: ManifestRow): void {
    if (this.wasDeleted(repository, digest)) return;
    this.#mediaTypes.set(`${repository}@${digest}`, this.#expiring(row.mediaType));
    this.#manifests.set(digest, row.bytes);
    for (const location of row.plan) this.setBlob(repository, location);
  }

  /** The bytes of a small blob. Ask {@link blob} first. */
  smallBlob(digest: string): Uint8Array | undefined {
    return this.#smallBlobs.get(digest);
  }

  setSmallBlob(digest: string, bytes: Uint8Array): void {
    this.#smallBlobs.set(digest, bytes);
  }

  /** Notes that a blob or manifest was deleted here: for a while only the ledger is asked about it. */
  noteDeletion(repository: string, digest: string): void {
    const key = `${repository}@${digest}`;
    this.#deletions.set(key, this.#clock.now() + deletionTtlMs);
    this.#links.delete(key);
    this.#mediaTypes.delete(key);
  }

  /** Notes that a whole repository was deleted here. */
  noteRepositoryDeletion(repository: string): void {
    this.#deletions.set(repository, this.#clock.now() + deletionTtlMs);
  }

  /** Takes {@link noteDeletion} back: it was pushed again. */
  notePush(repository: string, digest: string): void {
    this.#deletions.delete(`${repository}@${digest}`);
    this.#mediaTypes.delete(`${repository}@${digest}`);
  }

  /** Whether this isolate deleted it lately, so that the replica may be behind. */
  wasDeleted(repository: string, digest: string): boolean {
    if (this.#deletions.isEmpty) return false;
    const now = this.#clock.now();
    return (
      (this.#deletions.get(`${repository}@${digest}`) ?? 0) > now ||
      (this.#deletions.get(repository) ?? 0) > now
    );
  }

  #expiring<T>(value: T): Expiring<T> {
    return { value, until: this.#clock.now() + linkTtlMs };
  }

  #fresh<T>(entry: Expiring<T> | undefined): T | undefined {
    return entry !== undefined && entry.until > this.#clock.now() ? entry.value : undefined;
  }
}
