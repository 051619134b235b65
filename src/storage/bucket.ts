/**
 * The store of blob bytes: what the registry needs of it, and its implementation on R2. The one on the disk of one
 * machine is in disk-bucket.ts.
 *
 * It knows keys and bytes, nothing of digests' owners. It never decides that a blob does not exist.
 */

import type { ByteRange } from "../oci/http.ts";
import { algorithmOf, type Digest, hexOf } from "../oci/reference.ts";

/** A part of a multipart upload that is stored. */
export type StoredPart = { partNumber: number; etag: string };

/** A multipart upload: the key it will be stored under, and the bucket's name for it. */
export type MultipartUpload = { key: string; uploadId: string };

/** Something stored: its key, and when it was stored, in milliseconds since 1970. */
export type StoredObject = { key: string; storedAtMs: number };

/** Where bytes are stored, and how many they are. */
export type StoredBytes = { key: string; sizeBytes: number };

/** A page of what is stored; without a cursor it was the last. */
export type StoredPage = { objects: StoredObject[]; cursor: string | undefined };

/** The most parts that one upload may have. */
export const maxParts = 10_000;

/** The largest body that is stored in one put, in bytes; R2 takes about 5 GiB. */
export const maxPutBytes = 4 * 1024 * 1024 * 1024;

/** The bytes of a blob: all of them, or a stream of just so many, which knows that (`FixedLengthStream`). */
export type BlobBytes = Uint8Array | { stream: ReadableStream<Uint8Array>; sizeBytes: number };

/** A part that is stored while its bytes come. Exactly one of {@link end} and {@link abort} must be called. */
export interface OpenPart {
  /** Takes bytes; they may be changed once this is through. */
  write(bytes: Uint8Array): Promise<void>;
  /** Stores the part. */
  end(): Promise<{ etag: string }>;
  /** Forgets what was written. Never throws. */
  abort(): Promise<void>;
}

/** The store could not do what it was asked; the message says what. It may be tried again. */
export class BucketFailed extends Error {
  override name = "BucketFailed";
  /** Whether it failed because the bytes that it was given broke off; `undefined` where the store cannot tell. */
  readonly bodyBroke: boolean | undefined;

  constructor(message: string, { cause, bodyBroke }: { cause?: unknown; bodyBroke?: boolean } = {}) {
    super(message, { cause });
    this.bodyBroke = bodyBroke;
  }
}

/** The blob store. Every method throws {@link BucketFailed} when the store fails; absence is a value. */
export interface Bucket {
  /** The size of what is stored under a key; `undefined` when nothing is, or some of it is missing. */
  sizeOf(key: string): Promise<number | undefined>;
  /**
   * The bytes under a key, or a range of them that lies within; `undefined` when nothing of that size is stored there.
   * The stream knows its length, without which the runtime would send it in chunks and with no `Content-Length`.
   */
  read(stored: StoredBytes, range?: ByteRange): Promise<ReadableStream | undefined>;
  /**
   * Stores bytes, verified against their digest by the store itself. `mismatch`: the content is not that of the
   * digest, and nothing was stored.
   */
  write(key: string, bytes: BlobBytes, digest: Digest): Promise<"stored" | "mismatch">;
  startMultipart(key: string): Promise<MultipartUpload>;
  writePart(upload: MultipartUpload, partNumber: number, bytes: Uint8Array): Promise<StoredPart>;
  /**
   * Where the store can: begins a part of any size, of which nothing needs to be held in memory. Others take parts of
   * one size alone, by {@link writePart}.
   */
  openPart?(upload: MultipartUpload): OpenPart;
  /**
   * Puts the parts together. `unknown`: the upload is not open, because it was aborted before, or completed; completing
   * the same parts again may also be `completed`.
   */
  completeMultipart(upload: MultipartUpload, parts: StoredPart[]): Promise<"completed" | "unknown">;
  /** Forgets the parts; an upload that is not open is left as it is. */
  abortMultipart(upload: MultipartUpload): Promise<void>;
  /** Deletes keys; those that hold nothing are passed over. At most 1,000 a call. */
  delete(keys: string[]): Promise<void>;
  /**
   * A page of whatever is stored whole (on disk: also of what is not yet), from a cursor of the page before; at most
   * `limit`, which is 1,000 at most.
   */
  list(cursor: string | undefined, limit: number): Promise<StoredPage>;
}

/** The bucket on R2. */
export class R2BlobBucket implements Bucket {
  readonly #r2: R2Bucket;

  constructor(r2: R2Bucket) {
    this.#r2 = r2;
  }

  async sizeOf(key: string): Promise<number | undefined> {
    return (await attempt("head", () => this.#r2.head(key)))?.size;
  }

  async read({ key, sizeBytes }: StoredBytes, range?: ByteRange): Promise<ReadableStream | undefined> {
    const options = range === undefined ? {} : { range };
    const object = await attempt("get", () => this.#r2.get(key, options), r2Errors.invalidRange);
    if (object === undefined || object === null) return undefined;
    if (object.size === sizeBytes)
      return object.body.pipeThrough(new FixedLengthStream(range?.length ?? sizeBytes));
    await object.body.cancel();
    return undefined;
  }

  async write(key: string, bytes: BlobBytes, digest: Digest): Promise<"stored" | "mismatch"> {
    const body = bytes instanceof Uint8Array ? bytes : bytes.stream;
    const checksum = { [algorithmOf(digest)]: hexOf(digest) };
    const stored = await attempt("put", () => this.#r2.put(key, body, checksum), r2Errors.badDigest);
    return stored === undefined ? "mismatch" : "stored";
  }

  async startMultipart(key: string): Promise<MultipartUpload> {
    const { uploadId } = await attempt("create", () => this.#r2.createMultipartUpload(key));
    return { key, uploadId };
  }

  async writePart(upload: MultipartUpload, partNumber: number, bytes: Uint8Array): Promise<StoredPart> {
    const { etag } = await attempt("part", () => this.#resume(upload).uploadPart(partNumber, bytes));
    return { partNumber, etag };
  }

  async completeMultipart(upload: MultipartUpload, parts: StoredPart[]): Promise<"completed" | "unknown"> {
    const object = await attempt(
      "complete",
      () => this.#resume(upload).complete(parts),
      r2Errors.noSuchUpload,
    );
    return object === undefined ? "unknown" : "completed";
  }

  async abortMultipart(upload: MultipartUpload): Promise<void> {
    await attempt("abort", () => this.#resume(upload).abort(), r2Errors.noSuchUpload);
  }

  async delete(keys: string[]): Promise<void> {
    await attempt("delete", () => this.#r2.delete(keys));
  }

  async list(cursor: string | undefined, limit: number): Promise<StoredPage> {
    const options = cursor === undefined ? { limit } : { limit, cursor };
    const page = await attempt("list", () => this.#r2.list(options));
    return {
      objects: page.objects.map(({ key, uploaded }) => ({ key, storedAtMs: uploaded.getTime() })),
      cursor: page.truncated ? page.cursor : undefined,
    };
  }

  #resume(upload: MultipartUpload): R2MultipartUpload {
    return this.#r2.resumeMultipartUpload(upload.key, upload.uploadId);
  }
}

/** Codes that R2 puts at the end of its errors' messages. Source: R2, "Error codes". */
const r2Errors = { badDigest: 10037, noSuchUpload: 10024, invalidRange: 10039 };

/** Calls R2. An error with the code that is `expected` is an answer, `undefined`; any other is a failure. */
async function attempt<T>(operation: string, call: () => Promise<T>): Promise<T>;
async function attempt<T>(
  operation: string,
  call: () => Promise<T>,
  expected: number,
): Promise<T | undefined>;
async function attempt<T>(
  operation: string,
  call: () => Promise<T>,
  expected?: number,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (expected !== undefined && String(error).includes(`(${expected})`)) return undefined;
    throw new BucketFailed(`${operation}: ${String(error)}`, { cause: error });
  }
}
