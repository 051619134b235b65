/**
 * The stored side of a fetch: parts in the bucket under a key whose deletion is scheduled from the beginning, and at the
 * end the adoption by the shard of the digest. Rows are written with the first part, so that a blob that fits into one
 * needs none.
 */
import { failure, type Result } from "../../oci/errors.ts";
import { algorithmOf, type Digest } from "../../oci/reference.ts";
import { commitFetched } from "../../rpc/commit-blob.ts";
import { scheduleDeletion } from "../../rpc/founding.ts";
import { newBlobKey } from "../../storage/keys.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { RunningHash } from "../running-hash.ts";
import { openMultipart, storePart, type UploadParts } from "../upload/append.ts";
import { assemble } from "../upload/assemble.ts";
import { PartStreamer } from "../upload/part-streamer.ts";
import { UploadStore } from "../upload/store.ts";
import { type FetchHost, resumeEveryMs, resumeJob } from "./host.ts";
import type { StoredQuestion } from "./store.ts";

/** How old a part becomes before it ends, in milliseconds. */
const maxPartAgeMs = 500;

/** The bytes of one fetch, as they are stored. */
export class StoredBlob {
  readonly #host: FetchHost;
  readonly #id: string;
  readonly #digest: Digest;
  readonly #store: UploadStore;
  readonly #parts: UploadParts;
  #storedBytes = 0;

  constructor(host: FetchHost, id: string, digest: Digest) {
    this.#host = host;
    this.#id = id;
    this.#digest = digest;
    this.#store = new UploadStore(host.storage.sql, host.tables, id);
    this.#parts = { ...host, store: this.#store };
  }

  /** Begins, or goes on where an earlier life of the object stopped. Returns the offset of the next byte. */
  async open(question: StoredQuestion): Promise<number> {
    if (this.#store.exists()) {
      this.#storedBytes = this.#store.read().offset;
      return this.#storedBytes;
    }
    const { clock, env, settings } = this.#host;
    const { digest, repository, origin } = question;
    const key = newBlobKey();
    const now = clock.now();
    await scheduleDeletion(env, digest, key, now + settings.uploadTtlMs);
    this.#store.begin(
      { id: this.#id, repository, algorithm: algorithmOf(digest) },
      { key, partBytes: settings.uploadPartBytes },
      { actor: origin.actor, atMs: now, dueAt: now + settings.uploadTtlMs },
      () => {},
    );
    return 0;
  }

  /** How many bytes are stored in parts that are complete. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** Whether all bytes were verified in an earlier life of the object. */
  get isVerified(): boolean {
    return this.#store.exists() && this.#store.read().state === "finishing";
  }

  /** Stores the next part, of the size that all have, for a bucket that needs that. */
  async addPart(bytes: Uint8Array, question: StoredQuestion): Promise<void> {
    this.#remember(question);
    await storePart(this.#parts, bytes);
    this.#storedBytes += bytes.byteLength;
  }

  /**
   * What takes bytes as they come, for a bucket that holds no part in memory; `undefined` for others. Parts end after a
   * moment, so that clients that join late can read them.
   *
   * @param onPart called when a part was stored
   */
  openStreamer(question: StoredQuestion, onPart: () => void): PartStreamer | undefined {
    const { bucket, change } = this.#host;
    const { openPart } = bucket;
    if (openPart === undefined) return undefined;
    return new PartStreamer({
      readTail: () => new Uint8Array(),
      tailLength: () => 0,
      openPart: async () => {
        this.#remember(question);
        return openPart.call(bucket, await openMultipart(this.#parts));
      },
      addPart: (etag, sizeBytes) => {
        const partNumber = this.#store.partCount() + 1;
        change((tx) => this.#store.addPart(tx, { partNumber, etag }, sizeBytes));
        this.#storedBytes += sizeBytes;
        onPart();
      },
      maxPartAgeMs,
    });
  }

  /** Writes the fetch down before its first part, so that a new life of the object knows of it. */
  #remember(question: StoredQuestion): void {
    if (this.#store.read().uploadId !== null) return;
    const { change, due, store, clock } = this.#host;
    change((tx) => {
      store.put(tx, this.#id, question);
      due.set(tx, resumeJob, this.#id, clock.now() + resumeEveryMs);
    });
    due.arm();
  }

  /** Stored bytes from an offset on, not all of them; `undefined` where they cannot be read (yet). */
  async read(offset: number): Promise<ReadableStream<Uint8Array> | undefined> {
    const { bucket } = this.#host;
    if (bucket.readParts === undefined || offset >= this.#storedBytes || !this.#store.exists())
      return undefined;
    return bucket.readParts(this.#store.read().key, this.#store.parts(), offset);
  }

  /**
   * Stores what is left, verifies all of it, and gives it to the repository. Returns where the bytes are: they may have
   * been here already, under another key. Error: `DIGEST_INVALID`.
   *
   * @throws whatever the bucket throws, or Unreachable; it may be called again
   */
  async finish(
    rest: Uint8Array,
    hash: RunningHash | undefined,
    question: StoredQuestion,
  ): Promise<Result<{ location: BlobLocation; isLinked: boolean }>> {
    const { bucket, change } = this.#host;
    const digest = this.#digest;
    const { key, uploadId, state, offset } = this.#store.read();
    let sizeBytes = offset;
    let segments: Uint8Array | undefined;
    if (uploadId === null) {
      sizeBytes = rest.byteLength;
      const written = await bucket.write(key, rest.slice(), digest);
      if (written === "mismatch") return failure("DIGEST_INVALID", { digest });
    } else if (state !== "finishing") {
      if (rest.byteLength > 0) await storePart(this.#parts, rest);
      sizeBytes = this.#store.read().offset;
      const assembled = await assemble(this.#parts, digest, hash);
      if (!assembled.ok) return assembled;
      segments = assembled.segments;
      change((tx) => this.#store.setState(tx, "finishing", digest));
    }
    const blob = { digest, key, sizeBytes, ...(segments && { segments }) };
    const { env, clock } = this.#host;
    const committer = { objects: env, clock };
    const committed = await commitFetched(
      committer,
      question.repository,
      blob,
      question.born,
      question.origin,
    );
    this.forget();
    return { ok: true, ...committed };
  }

  /** Gives up: what is stored is deleted. */
  async discard(): Promise<void> {
    if (!this.#store.exists()) return;
    const { bucket, env, clock } = this.#host;
    const { key, uploadId } = this.#store.read();
    if (uploadId !== null) await bucket.abortMultipart({ key, uploadId });
    await scheduleDeletion(env, this.#digest, key, clock.now());
    this.forget();
  }

  /** Forgets the bytes: they belong to the shard now. */
  forget(): void {
    const { change, due, store, tables } = this.#host;
    if (!tables.exist()) return;
    change((tx) => {
      this.#store.delete(tx);
      store.delete(tx, this.#id);
      due.clear(tx, resumeJob, this.#id);
    });
  }
}
