/** Receiving the bytes of one request. */

import { failure, type Result } from "../../oci/errors.ts";
import type { UploadWrite } from "../../rpc/upload-channel.ts";
import type { Settings } from "../../settings/settings.ts";
import { type Bucket, type MultipartUpload, maxParts, type StoredPart } from "../../storage/bucket.ts";
import { DiskFull, type DiskSpace } from "../../storage/disk-space.ts";
import { BodyBroke, readPieces } from "../../storage/streams.ts";
import type { RunningHash } from "../running-hash.ts";
import { type TransactionalStorage, transaction } from "../sql.ts";
import { type ActiveWrite, Stopped } from "./active-write.ts";
import { takeBuffer } from "./part-buffers.ts";
import { PartStreamer } from "./part-streamer.ts";
import { PartWriter } from "./part-writer.ts";
import type { UploadStore } from "./store.ts";

/** What an upload works with. */
export type UploadParts = {
  storage: TransactionalStorage;
  store: UploadStore;
  bucket: Bucket;
  settings: Settings;
  /** The room on the disk, if that is watched. */
  space: DiskSpace | undefined;
};

/**
 * Appends a body to an open upload. If the body breaks off or is too long, the bytes before that are kept, and the
 * client may continue from there. If another request stops it, only whole parts are kept: the other request was given
 * the offset without the rest.
 *
 * Errors: that of the request that stopped it; `BLOB_UPLOAD_RANGE`, `SIZE_INVALID`, `BLOB_UPLOAD_TOO_LARGE`;
 * `BLOB_UPLOAD_INVALID` if it broke off; `UNAVAILABLE` if there is no memory for it now.
 *
 * @throws whatever the bucket throws; then only whole parts of this request are kept.
 */
export async function appendBody(
  parts: UploadParts,
  write: UploadWrite,
  body: ReadableStream | null,
  hash: RunningHash | undefined,
  active: ActiveWrite,
): Promise<Result> {
  const { store, space } = parts;
  const { offset, partBytes } = store.read();
  if (write.offset !== undefined && write.offset !== offset) return failure("BLOB_UPLOAD_RANGE", { offset });
  if (body === null) return checkLength(write, 0);
  const claim = await space?.claim(write.length ?? 0);
  const maxBytes = partBytes * maxParts;
  let received = 0;
  let isGivenUp = false;
  let writer: BodyWriter | undefined;
  try {
    writer = await openWriter(parts, active);
    if (writer === undefined) return failure("UNAVAILABLE", "too many uploads at once");
    for await (const piece of readPieces(body, (read) => active.next(read))) {
      active.receivedBytes += piece.byteLength;
      if (received + piece.byteLength > (write.length ?? Number.POSITIVE_INFINITY)) {
        return failure("SIZE_INVALID", { announcedBytes: write.length });
      }
      if (offset + received + piece.byteLength > maxBytes) {
        return failure("BLOB_UPLOAD_TOO_LARGE", { maxBytes });
      }
      await claim?.take(piece.byteLength);
      hash?.update(piece);
      await writer.write(piece);
      received += piece.byteLength;
    }
    return checkLength(write, received);
  } catch (error) {
    if (error instanceof BodyBroke) return failure("BLOB_UPLOAD_INVALID", "the body broke off");
    isGivenUp = error instanceof Stopped || error instanceof DiskFull;
    if (error instanceof Stopped) return error.failure;
    throw error;
  } finally {
    claim?.release();
    if (writer !== undefined) await (isGivenUp ? writer.close() : keepTail(parts, writer));
  }
}

/** What cuts the bytes of a request into parts, as the bucket takes them. */
export type BodyWriter = Pick<PartWriter, "write" | "tail" | "close">;

/** What writes to an upload; `undefined` if there is no memory for it now. */
async function openWriter(parts: UploadParts, active: ActiveWrite): Promise<BodyWriter | undefined> {
  const { storage, store, bucket, settings } = parts;
  const { openPart } = bucket;
  if (openPart === undefined) {
    const budgetBytes = settings.uploadBufferBytes;
    const { offset, partBytes } = store.read();
    const wait = (milliseconds: number) => active.next(scheduler.wait(milliseconds));
    const part = await takeBuffer(partBytes, budgetBytes, offset > 0 ? wait : undefined);
    if (part === undefined) return undefined;
    return new PartWriter({
      part,
      budgetBytes,
      readTail: (into) => store.readTail(into),
      storePart: (bytes) => storePart(parts, bytes),
    });
  }
  return new PartStreamer({
    readTail: () => store.readWholeTail(),
    tailLength: () => store.tailLength(),
    openPart: async () => openPart.call(bucket, await openMultipart(parts)),
    addPart: (etag, sizeBytes) =>
      transaction(storage, (tx) => store.addPart(tx, { partNumber: store.partCount() + 1, etag }, sizeBytes)),
  });
}

function checkLength(write: UploadWrite, received: number): Result {
  if (write.length === undefined || write.length === received) return { ok: true };
  return failure("SIZE_INVALID", { announcedBytes: write.length, receivedBytes: received });
}

async function keepTail({ storage, store }: UploadParts, writer: BodyWriter): Promise<void> {
  try {
    const tail = await writer.tail();
    transaction(storage, (tx) => store.appendTail(tx, tail));
  } finally {
    await writer.close();
  }
}

/** Stores bytes as the next part. */
export async function storePart(parts: UploadParts, bytes: Uint8Array): Promise<void> {
  const { storage, store, bucket } = parts;
  const upload = await openMultipart(parts);
  const part: StoredPart = await bucket.writePart(upload, store.partCount() + 1, bytes);
  transaction(storage, (tx) => store.addPart(tx, part, bytes.byteLength));
}

/** The multipart upload, which the first part opens. */
export async function openMultipart({ storage, store, bucket }: UploadParts): Promise<MultipartUpload> {
  const { key, uploadId } = store.read();
  if (uploadId !== null) return { key, uploadId };
  transaction(storage, (tx) => store.keep(tx));
  const upload = await bucket.startMultipart(key);
  transaction(storage, (tx) => store.setMultipart(tx, upload));
  return upload;
}
