/**
 * Both buckets, each method of which is one request: `POST /<kind>/<method>`, its arguments as JSON in a header, and
 * bytes as the body.
 */

import type { ByteRange } from "../../src/oci/http.ts";
import type { Digest } from "../../src/oci/reference.ts";
import {
  type Bucket,
  type MultipartUpload,
  R2BlobBucket,
  type StoredPart,
} from "../../src/storage/bucket.ts";
import { DiskBucket } from "../../src/storage/disk-bucket.ts";
import { readPieces } from "../../src/storage/streams.ts";

export { BlobShard as Blobs } from "../../src/objects/blob-shard.ts";
export { Catalog } from "../../src/objects/catalog.ts";
export { Fetch } from "../../src/objects/fetch.ts";
export { Ledger as Repository } from "../../src/objects/ledger.ts";
export { Upload } from "../../src/objects/upload.ts";
export { Upstream } from "../../src/objects/upstream.ts";

type Bindings = { BLOBS: R2Bucket; BLOB_FILES: Fetcher; BLOB_FSYNC: Fetcher };

/** The arguments of a method, as far as it has them. */
export type BucketCall = {
  key?: string;
  keys?: string[];
  digest?: Digest;
  sizeBytes?: number;
  range?: ByteRange;
  upload?: MultipartUpload;
  partNumber?: number;
  parts?: StoredPart[];
  cursor?: string;
  limit?: number;
};

const noUpload: MultipartUpload = { key: "", uploadId: "" };

/** A part that is written as its bytes come; aborted after them with `abortPart`. */
async function streamPart(
  bucket: Bucket,
  request: Request,
  { upload = noUpload, partNumber = 0 }: BucketCall,
) {
  const part = bucket.openPart?.(upload);
  if (part === undefined || request.body === null) return undefined;
  for await (const piece of readPieces(request.body)) await part.write(piece);
  if (partNumber === 0) return part.abort();
  return { partNumber, ...(await part.end()) };
}

async function call(bucket: Bucket, method: string, request: Request): Promise<unknown> {
  const given: BucketCall = JSON.parse(request.headers.get("call") ?? "{}");
  const { key = "", keys = [], digest = "" as Digest, upload = noUpload, parts = [], partNumber = 0 } = given;
  switch (method) {
    case "sizeOf":
      return bucket.sizeOf(key);
    case "write":
      return bucket.write(key, new Uint8Array(await request.arrayBuffer()), digest);
    case "writeStream": {
      const { sizeBytes = 0 } = given;
      const stream = request.body?.pipeThrough(new FixedLengthStream(sizeBytes)) ?? new Blob([]).stream();
      return bucket.write(key, { stream, sizeBytes }, digest);
    }
    case "startMultipart":
      return bucket.startMultipart(key);
    case "writePart":
      return bucket.writePart(upload, partNumber, new Uint8Array(await request.arrayBuffer()));
    case "streamPart":
      return streamPart(bucket, request, given);
    case "completeMultipart":
      return bucket.completeMultipart(upload, parts);
    case "abortMultipart":
      return bucket.abortMultipart(upload);
    case "list":
      return bucket.list(given.cursor, given.limit ?? 0);
    case "delete":
      return bucket.delete(keys);
    default:
      throw new Error(`there is no method ${method}`);
  }
}

export default {
  async fetch(request, env): Promise<Response> {
    const [, kind, method = ""] = new URL(request.url).pathname.split("/");
    const bucket =
      kind === "disk" ? new DiskBucket(env.BLOB_FILES, env.BLOB_FSYNC) : new R2BlobBucket(env.BLOBS);
    try {
      if (method !== "read") return Response.json({ result: await call(bucket, method, request) });
      const {
        key = "",
        range,
        sizeBytes: expected,
      }: BucketCall = JSON.parse(request.headers.get("call") ?? "{}");
      const sizeBytes = expected ?? (await bucket.sizeOf(key)) ?? 0;
      const body = await bucket.read({ key, sizeBytes }, range);
      return new Response(body ?? null, { status: body === undefined ? 404 : 200 });
    } catch (error) {
      return Response.json({ failure: String(error) }, { status: 500 });
    }
  },
} satisfies ExportedHandler<Bindings>;
