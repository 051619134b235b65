/**
 * The caches in an isolate's memory: the locations of blobs and the media types of manifests by repository, for 30 s;
 * bytes by digest; and the newest row of each tag that the isolate has seen. Bytes are looked up only after the
 * repository was found to have them, so knowing a digest alone gives no access.
 */
import type { Clock } from "../clock.ts";
import { isAbsence, type Result } from "../oci/errors.ts";
import type { Digest, RepositoryName, Tag } from "../oci/reference.ts";
import type { BlobLocation, ManifestRow, Replica, TagRow } from "../storage/replica.ts";

/**
 * An LRU cache that is bounded by the bytes of its values.
 */
export class ByteLru<V> {
  readonly #maxBytes: number;
  readonly #maxValueBytes: number;
  readonly #sizeOf: (value: V) => number;
  readonly #entries = new Map<string, V>();
  #bytes = 0;

  /**
   * `maxBytes` bounds the sum of `sizeOf` over the entries; a value larger than `maxValueBytes`, an eighth of it unless
   * told, is not kept.
   */
  constructor(maxBytes: number, sizeOf: (value: V) => number, maxValueBytes = maxBytes / 8) {
    this.#maxBytes = maxBytes;
    this.#sizeOf = sizeOf;
    this.#maxValueBytes = maxValueBytes;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** The value, which becomes the most recently used. */
  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.delete(key);
    const size = this.#sizeOf(value);
    if (size > this.#maxValueBytes) return;
    this.#entries.set(key, value);
    this.#bytes += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const value = this.#entries.get(key);
    if (value === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= this.#sizeOf(value);
  }
}

type Expiring<V> = { value: V; until: number };

/** A {@link ByteLru} whose entries expire. */
export class ExpiringLru<V> {
  readonly #clock: Clock;
  readonly #entries: ByteLru<Expiring<V>>;

  /** As for {@link ByteLru}; `sizeOf` is the size of an entry with its key. */
  constructor(clock: Clock, maxBytes: number, sizeOf: (value: V) => number) {
    this.#clock = clock;
    this.#entries = new ByteLru(maxBytes, ({ value }) => sizeOf(value));
  }

  get isEmpty(): boolean {
    return this.#entries.isEmpty;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.until > this.#clock.now() ? entry.value : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Stores a value for some milliseconds from now. */
  set(key: string, value: V, ttlMs: number): void {
    this.setUntil(key, value, this.#clock.now() + ttlMs);
  }

  /** Stores a value until a time in milliseconds since 1970. */
  setUntil(key: string, value: V, until: number): void {
    this.#entries.set(key, { value, until });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}

/** How long a location or media type is used without asking again, in milliseconds. */
const linkTtlMs = 30_000;

/**
 * How long the replica is not asked about content that was deleted through this isolate: it may still have the row. What
 * was read before the deletion and is kept after it is not used until then, and has expired by then.
 */
const deletionTtlMs = 150_000;

const linkCacheBytes = 8 * 1024 * 1024;
const manifestCacheBytes = 16 * 1024 * 1024;
const configCacheBytes = 8 * 1024 * 1024;

/** Blobs up to this size are kept in memory when they are read whole. */
export const smallBlobBytes = 64 * 1024;

/** The caches of one isolate. */
export class IsolateCache {
  readonly #links: ExpiringLru<BlobLocation>;
  readonly #mediaTypes: ExpiringLru<string>;
  readonly #deletions: ExpiringLru<true>;
  // The largest one is kept too: to read it takes as long as a thousand answers.
  readonly #manifests = new ByteLru<Uint8Array>(
    manifestCacheBytes,
    (bytes) => bytes.byteLength + 200,
    manifestCacheBytes / 3,
  );
  readonly #smallBlobs = new ByteLru<Uint8Array>(configCacheBytes, (bytes) => bytes.byteLength + 200);

  constructor(clock: Clock) {
    this.#links = new ExpiringLru(clock, linkCacheBytes, () => 400);
    this.#mediaTypes = new ExpiringLru(clock, linkCacheBytes, () => 400);
    this.#deletions = new ExpiringLru(clock, linkCacheBytes, () => 300);
  }

  /** The location of a blob that the repository links. */
  blob(repository: string, digest: string): BlobLocation | undefined {
    if (this.wasDeleted(repository, digest)) return undefined;
    return this.#links.get(`${repository}@${digest}`);
  }

  setBlob(repository: string, location: BlobLocation): void {
    this.#links.set(`${repository}@${location.digest}`, location, linkTtlMs);
  }

  forgetBlob(repository: string, digest: string): void {
    this.#links.delete(`${repository}@${digest}`);
  }

  /** A manifest of the repository, without the locations of its blobs. */
  manifest(repository: string, digest: string): Omit<ManifestRow, "plan"> | undefined {
    if (this.wasDeleted(repository, digest)) return undefined;
    const mediaType = this.#mediaTypes.get(`${repository}@${digest}`);
    const bytes = mediaType === undefined ? undefined : this.#manifests.get(digest);
    return mediaType === undefined || bytes === undefined ? undefined : { mediaType, bytes };
  }

  /** Stores a manifest and the locations of its blobs. */
  setManifest(repository: string, digest: string, row: ManifestRow): void {
    this.#mediaTypes.set(`${repository}@${digest}`, row.mediaType, linkTtlMs);
    this.#manifests.set(digest, row.bytes);
    for (const location of row.plan) this.setBlob(repository, location);
  }

  /** The bytes of a small blob. Call {@link blob} first: this does not check the repository. */
  smallBlob(digest: string): Uint8Array | undefined {
    return this.#smallBlobs.get(digest);
  }

  setSmallBlob(digest: string, bytes: Uint8Array): void {
    this.#smallBlobs.set(digest, bytes);
  }

  /** Records that a blob or manifest was deleted here: for a while only the ledger is asked about it. */
  noteDeletion(repository: string, digest: string): void {
    const key = `${repository}@${digest}`;
    this.#deletions.set(key, true, deletionTtlMs);
    this.#links.delete(key);
    this.#mediaTypes.delete(key);
  }

  /**
   * Records the result of deleting a blob or manifest. One that did not exist counts as deleted: the answer to an
   * earlier deletion may have been lost, and the replica may still have the row.
   */
  noteDeletionResult(repository: string, digest: string, deleted: Result): void {
    if (deleted.ok || isAbsence(deleted.error)) this.noteDeletion(repository, digest);
  }

  /** Records that a whole repository was deleted here. */
  noteRepositoryDeletion(repository: string): void {
    this.#deletions.set(repository, true, deletionTtlMs);
  }

  /** Reverts {@link noteDeletion} after a new push. */
  notePush(repository: string, digest: string): void {
    this.#deletions.delete(`${repository}@${digest}`);
    this.#mediaTypes.delete(`${repository}@${digest}`);
  }

  /** Whether it was deleted through this isolate a moment ago, so that its row in the replica may be stale. */
  wasDeleted(repository: string, digest: string): boolean {
    if (this.#deletions.isEmpty) return false;
    return this.#deletions.has(`${repository}@${digest}`) || this.#deletions.has(repository);
  }
}

const tagCacheBytes = 4 * 1024 * 1024;

/**
 * The newest row of each tag that this isolate has seen, so that it never answers with an older one. Rows of the
 * replica may be stale; their sequence numbers, which the ledger assigns, tell.
 */
export class TagsSeen {
  readonly #newest = new ByteLru<TagRow>(tagCacheBytes, () => 500);

  /** Records a tag's row from the ledger or the replica; returns the newest row that is known. */
  note(repository: RepositoryName, tag: Tag, row: TagRow): TagRow {
    const key = `${repository}:${tag}`;
    const known = this.#newest.get(key);
    if (known !== undefined && known.sequence >= row.sequence) return known;
    const { digest, sequence } = row;
    this.#newest.set(key, { digest, sequence });
    return row;
  }

  /** The replica's row of a tag, or a newer one that was seen before; `undefined` if neither is known. */
  async fromReplica(
    replica: Replica | undefined,
    repository: RepositoryName,
    tag: Tag,
  ): Promise<Digest | undefined> {
    const row = await replica?.tag(repository, tag);
    return row && this.note(repository, tag, row).digest;
  }
}
