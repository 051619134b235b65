/**
 * The stored side of a fetch: parts in the bucket under a key whose deletion is scheduled from the beginning, and at the
 * end the adoption by the shard of the digest. Rows are written with the first part, so that a blob that fits into one
 * needs none.
 */
import { failure, type Result } from "../../oci/errors.ts";
import type { ByteRange } from "../../oci/http.ts";
import { algorithmOf, type Digest } from "../../oci/reference.ts";
import { commitFetched } from "../../rpc/commit-blob.ts";
import { scheduleDeletion } from "../../rpc/founding.ts";
import type { MultipartUpload, OpenPart, StoredPiece } from "../../storage/bucket.ts";
import type { FileRange } from "../../storage/disk-files.ts";
import { newBlobKey } from "../../storage/keys.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { RunningHash } from "../running-hash.ts";
import { type BodyWriter, openMultipart, storePart, type UploadParts } from "../upload/append.ts";
import { assemble } from "../upload/assemble.ts";
import { takeBuffer } from "../upload/part-buffers.ts";
import { PartStreamer } from "../upload/part-streamer.ts";
import { PartWriter } from "../upload/part-writer.ts";
import { UploadStore } from "../upload/store.ts";
import { type FetchHost, resumeEveryMs, resumeJob } from "./host.ts";
import type { StoredQuestion } from "./store.ts";

/** How old a part becomes before it ends, in milliseconds: a tenth of the time so far, within these bounds. */
const leastPartAgeMs = 100;
const mostPartAgeMs = 5000;

/** The bytes of one fetch, as they are stored. */
export class StoredBlob {
  readonly #host: FetchHost;
  readonly #id: string;
  readonly #digest: Digest;
  readonly #store: UploadStore;
  readonly #parts: UploadParts;
  #storedBytes = 0;
  /** Whether clients know the files. */
  #mayBeRead = false;

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

  /** Whether parts can be read before all are complete. */
  get isReadable(): boolean {
    return this.#host.bucket.readParts !== undefined;
  }

  /**
   * What takes bytes and stores them in parts; `undefined` if there is no memory for it. Where parts can be read before
   * the end, they end after a moment, so that clients that join late can read them.
   *
   * @param question what a later life of the object needs, as it is known when the first part is stored
   * @param onPart called when a part was stored
   */
  async openWriter(question: () => StoredQuestion, onPart: () => void): Promise<BodyWriter | undefined> {
    const { bucket, settings } = this.#host;
    const { openPart } = bucket;
    const stored = (sizeBytes: number) => {
      this.#storedBytes += sizeBytes;
      onPart();
    };
    if (openPart !== undefined) return this.#openStreamer(question, openPart.bind(bucket), stored);
    const budgetBytes = settings.uploadBufferBytes;
    const wait = (milliseconds: number) => scheduler.wait(milliseconds);
    const part = await takeBuffer(settings.uploadPartBytes, budgetBytes, wait);
    if (part === undefined) return undefined;
    return new PartWriter({
      part,
      budgetBytes,
      readTail: () => 0,
      storePart: async (bytes) => {
        this.#remember(question);
        await storePart(this.#parts, bytes);
        stored(bytes.byteLength);
      },
    });
  }

  #openStreamer(
    question: () => StoredQuestion,
    openPart: (upload: MultipartUpload) => OpenPart,
    stored: (sizeBytes: number) => void,
  ): PartStreamer {
    const begunMs = performance.now();
    return new PartStreamer({
      readTail: () => new Uint8Array(),
      tailLength: () => 0,
      openPart: async () => {
        this.#remember(question);
        return openPart(await openMultipart(this.#parts));
      },
      addPart: (etag, sizeBytes) => {
        const partNumber = this.#store.partCount() + 1;
        this.#host.change((tx) => this.#store.addPart(tx, { partNumber, etag }, sizeBytes));
        stored(sizeBytes);
      },
      // The longer it takes, the longer the parts: there are few of them, and the last one is a small part of all.
      mostPartAgeMs: () =>
        Math.min(mostPartAgeMs, Math.max(leastPartAgeMs, (performance.now() - begunMs) / 10)),
    });
  }

  /** Writes the fetch down before its first part, so that a new life of the object knows of it. */
  #remember(question: () => StoredQuestion): void {
    if (this.#store.read().uploadId !== null) return;
    const { change, due, store, clock } = this.#host;
    change((tx) => {
      store.put(tx, this.#id, question());
      due.set(tx, resumeJob, this.#id, clock.now() + resumeEveryMs);
    });
    due.arm();
  }

  /** The first stored bytes of a range, not all of them; `undefined` where they cannot be read (yet, or any more). */
  async read(range: ByteRange): Promise<StoredPiece | undefined> {
    const { bucket } = this.#host;
    if (bucket.readParts === undefined || range.offset >= this.#storedBytes || !this.#store.exists())
      return undefined;
    return bucket.readParts(this.#store.read().key, this.#store.parts(), range);
  }

  /** The files of stored bytes, for clients that read them in their own time; `undefined` where parts are in none, or nothing is stored any more. */
  filesOf(range: ByteRange): FileRange[] | undefined {
    if (!this.#store.exists()) return undefined;
    this.#mayBeRead = true;
    return this.#host.bucket.filesOfParts?.(this.#store.read().key, this.#store.parts(), range);
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
    const blob = { digest, key, sizeBytes, mayBeRead: this.#mayBeRead, ...(segments && { segments }) };
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
