/**
 * The interface of `Upload` objects for the Worker (see api.ts), and how the bytes of a request reach them: as the body
 * of a `fetch`, with their description in a header. A stream as an RPC argument would be half as fast.
 *
 * The result comes back in a header at once. The body of the response ends when the object has read all that the client
 * sends, even if it was refused: a connection that nobody reads from is reset, and its client may never see the reason.
 */

import type { Result } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Digest, DigestAlgorithm, RepositoryName } from "../oci/reference.ts";
import { drain } from "../storage/streams.ts";

/** An upload session, as described by its signed id. */
export type UploadSession = { id: string; repository: RepositoryName; algorithm: DigestAlgorithm };

/** One request to an upload: a chunk, its end, or both. The bytes are the body of the request. */
export type UploadWrite = {
  session: UploadSession;
  /** Whether the client has seen this upload accept bytes. If so, and the object has no such session, it has ended. */
  started: boolean;
  /** The offset at which the client says that its bytes begin. */
  offset?: number;
  /** The number of bytes that the client has announced. */
  length?: number;
  /** If present: closes the upload, whose content has this digest. */
  digest?: Digest;
  /** The origin of the request. */
  origin: Origin;
};

/** The status of an upload: how many bytes have been received and stored. */
export type UploadStatus = { offset: number };

/**
 * An open session. Bytes count once they are stored. `opened` is unknown if an earlier release opened the session.
 * Times are milliseconds since 1970.
 */
export type OpenSession = UploadSession & {
  offset: number;
  opened: { actor: string; atMs: number } | undefined;
  lastActiveAtMs: number;
  isWriting: boolean;
};

/** An object with one upload session that has received bytes, or on one machine several. */
export interface UploadApi {
  /** Streams a request's bytes in; see {@link sendWrite}. */
  fetch(request: Request): Promise<Response>;
  status(session: UploadSession, started: boolean): Promise<Result<UploadStatus>>;
  cancel(session: UploadSession, started: boolean): Promise<Result>;
  /** The open sessions of this object, at most `limit`. */
  openSessions(limit: number): Promise<OpenSession[]>;
  /** Cancels a session of any account. Error: `BLOB_UPLOAD_UNKNOWN`. */
  drop(id: string): Promise<Result<{ repository: RepositoryName }>>;
  /** Whether the bytes under a key are this upload's, to be adopted or deleted. */
  ownsKey(key: string): Promise<boolean>;
}

/** The calls of {@link UploadApi} that may be repeated. */
export const repeatableUploadCalls: ReadonlySet<keyof UploadApi> = new Set([
  "status",
  "openSessions",
  "ownsKey",
]);

const writeHeader = "stowage-write";
const resultHeader = "stowage-result";
const receivedHeader = "stowage-received";

/** What the sender of an upload's bytes reports to the request that they came with. */
export type Transfer = {
  /**
   * Keeps the answer to the client open until a promise settles. If it ended, its request would not be read further.
   */
  keepOpenUntil: (promise: Promise<unknown>) => void;
  /** Called with the number of bytes that were received. */
  reportBodySize: (sizeBytes: number) => void;
};

/** Sends bytes (none for `null`) to an upload; see {@link UploadWrite}. */
export async function sendWrite(
  upload: UploadApi,
  write: UploadWrite,
  body: ReadableStream | null,
  { keepOpenUntil, reportBodySize }: Transfer,
): Promise<Result<UploadStatus>> {
  const request = new Request("https://upload/", {
    method: "POST",
    headers: { [writeHeader]: JSON.stringify(write) },
    body,
  });
  const response = await upload.fetch(request);
  keepOpenUntil(drain(response.body));
  reportBodySize(Number(response.headers.get(receivedHeader)));
  return JSON.parse(response.headers.get(resultHeader) ?? "");
}

/** The object's side of {@link sendWrite}: reads the request. */
export function receiveWrite(request: Request): UploadWrite {
  return JSON.parse(request.headers.get(writeHeader) ?? "");
}

/** The object's side of {@link sendWrite}: answers with the result, and how many bytes were received. */
export function answerWrite(request: Request, result: Result<UploadStatus>, receivedBytes: number): Response {
  const headers = { [resultHeader]: JSON.stringify(result), [receivedHeader]: String(receivedBytes) };
  // What was received was received to its end. A request that is repeated may send what is there already.
  if (request.body === null || (result.ok && receivedBytes > 0)) return new Response(null, { headers });
  const { readable, writable } = new IdentityTransformStream();
  void drain(request.body).then(() => writable.close().catch(() => {}));
  return new Response(readable, { headers });
}
