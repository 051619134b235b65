/**
 * The store of blob bytes: its interface, and the implementation on R2. The implementation on the disk of one machine
 * is in disk-bucket.ts.
 *
 * It stores bytes by key, and does not know which repositories hold them. It never decides that a blob does not exist.
 */

import type { ByteRange } from "../oci/http.ts";
import { algorithmOf, type Digest, hexOf } from "../oci/reference.ts";
import type { FileRange } from "./disk-files.ts";
import { BodyBroke } from "./streams.ts";

/** A stored part of a multipart upload. */
export type StoredPart = { partNumber: number; etag: string };

/** A multipart upload: the key it will be stored under, and the bucket's name for it. */
export type MultipartUpload = { key: string; uploadId: string };

/** A stored object: its key, and when it was stored, in milliseconds since 1970. */
export type StoredObject = { key: string; storedAtMs: number };

/** The key and the number of stored bytes. */
export type StoredBytes = { key: string; sizeBytes: number };

/** A page of stored objects; without a cursor it is the last. */
export type StoredPage = { objects: StoredObject[]; cursor: string | undefined };

/** How many parts one upload may have at most. */
export const maxParts = 10_000;

/** The largest body that is stored in one put, in bytes; R2 accepts about 5 GiB. */
export const maxPutBytes = 4 * 1024 * 1024 * 1024;

/** The bytes of a blob: in memory, or a stream that knows its length (`FixedLengthStream`). */
export type BlobBytes = Uint8Array | { stream: ReadableStream<Uint8Array>; sizeBytes: number };

/** Some of the bytes of parts, and how many. */
export type StoredPiece = { body: ReadableStream<Uint8Array>; length: number };

/** A part that is stored while its bytes arrive. Exactly one of {@link end} and {@link abort} must be called. */
export interface OpenPart {
  /** Writes bytes; the caller may reuse the buffer once this resolves. */
  write(bytes: Uint8Array): Promise<void>;
  /** Stores the part. */
  end(): Promise<{ etag: string }>;
  /** Discards what was written. Never throws. */
  abort(): Promise<void>;
}

/** The store failed; the message says in which operation. It may be tried again. */
export class BucketFailed extends Error {
  override name = "BucketFailed";
  /** Whether it failed because the body broke off; `undefined` if the store cannot tell. */
  readonly bodyBroke: boolean | undefined;

  constructor(message: string, { cause, bodyBroke }: { cause?: unknown; bodyBroke?: boolean } = {}) {
    super(message, { cause });
    this.bodyBroke = bodyBroke;
  }
}

/** The failure of an operation; what caused it may be one already. */
export function failed(operation: string, cause: unknown): BucketFailed {
  if (cause instanceof BucketFailed) return cause;
  return new BucketFailed(`${operation}: ${cause}`, { cause, bodyBroke: cause instanceof BodyBroke });
}

/** Throws the failure of an operation. */
export function fail(operation: string, cause: unknown): never {
  throw failed(operation, cause);
}

/** The blob store. Every method throws {@link BucketFailed} if the store fails; absence is a value. */
export interface Bucket {
  /** The size of the object under a key; `undefined` if there is none, or some of its bytes are missing. */
  sizeOf(key: string): Promise<number | undefined>;
  /**
   * The bytes under a key, or a range within them; `undefined` if no object of that size is stored there. The stream
   * knows its length; otherwise the runtime would send it chunked and without `Content-Length`.
   */
  read(stored: StoredBytes, range?: ByteRange): Promise<ReadableStream | undefined>;
  /**
   * Writes the bytes of a range under a key to a stream, which stays open, without that they pass through memory of the
   * isolate. False if no object of that size is stored there.
   */
  pipe(stored: StoredBytes, range: ByteRange, to: WritableStream<Uint8Array>): Promise<boolean>;
  /**
   * The files that have the bytes under a key, or a range of them, in order; `undefined` if no object of that size is
   * stored there. Stores without this method are not on the disk of this machine.
   */
  findFiles?(stored: StoredBytes, range?: ByteRange): Promise<FileRange[] | undefined>;
  /**
   * Stores bytes, which the store verifies against their digest. `mismatch`: the bytes have another digest, and nothing
   * was stored.
   */
  write(key: string, bytes: BlobBytes, digest: Digest): Promise<"stored" | "mismatch">;
  startMultipart(key: string): Promise<MultipartUpload>;
  writePart(upload: MultipartUpload, partNumber: number, bytes: Uint8Array): Promise<StoredPart>;
  /**
   * Begins a part of any size, which is not held in memory. Stores without this method only accept parts of equal size,
   * by {@link writePart}.
   */
  openPart?(upload: MultipartUpload): OpenPart;
  /**
   * The first bytes of a range of parts whose upload is not complete, up to the end of some part; `undefined` if they
   * are not there. Stores without this method show them only after that.
   */
  readParts?(key: string, parts: StoredPart[], range: ByteRange): Promise<StoredPiece | undefined>;
  /** The files of such a range, as of {@link Bucket.findFiles}. */
  filesOfParts?(key: string, parts: StoredPart[], range: ByteRange): FileRange[];
  /**
   * Assembles the parts. `unknown`: the upload is not open, because it was aborted or completed before; completing the
   * same parts again may also return `completed`.
   */
  completeMultipart(upload: MultipartUpload, parts: StoredPart[]): Promise<"completed" | "unknown">;
  /** Discards the parts; an upload that is not open is left as it is. */
  abortMultipart(upload: MultipartUpload): Promise<void>;
  /** Deletes keys, and ignores those that do not exist. At most 1,000 per call. */
  delete(keys: string[]): Promise<void>;
  /**
   * A page of the objects that are stored completely (on disk: also of incomplete ones), from the cursor of the
   * previous page; at most `limit`, which is 1,000 at most.
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

  async read(stored: StoredBytes, range?: ByteRange): Promise<ReadableStream | undefined> {
    const body = await this.#open(stored, range);
    return body?.pipeThrough(new FixedLengthStream(range?.length ?? stored.sizeBytes));
  }

  async pipe(stored: StoredBytes, range: ByteRange, to: WritableStream<Uint8Array>): Promise<boolean> {
    const body = await this.#open(stored, range);
    await body?.pipeTo(to, { preventClose: true });
    return body !== undefined;
  }

  async #open({ key, sizeBytes }: StoredBytes, range?: ByteRange): Promise<ReadableStream | undefined> {
    const options = range === undefined ? {} : { range };
    const object = await attempt("get", () => this.#r2.get(key, options), r2Errors.invalidRange);
    if (object === undefined || object === null) return undefined;
    if (object.size === sizeBytes) return object.body;
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
