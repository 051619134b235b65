/**
 * How a request's bytes reach an `Upload` object: as the body of a request to it, with what they are in a header.
 * A stream as an argument of RPC would be half as fast.
 */
import type { Result } from "../oci/errors.ts";
import type { UploadApi, UploadStatus, UploadWrite } from "./api.ts";

const header = "stowage-write";

/** Sends bytes (none for `null`) to an upload; see {@link UploadWrite}. */
export async function sendWrite(
  upload: UploadApi,
  write: UploadWrite,
  body: ReadableStream | null,
): Promise<Result<UploadStatus>> {
  const request = new Request("https://upload/", {
    method: "POST",
    headers: { [header]: JSON.stringify(write) },
    body,
  });
  const response = await upload.fetch(request);
  return response.json();
}

/** The object's side of {@link sendWrite}. */
export function receiveWrite(request: Request): UploadWrite {
  return JSON.parse(request.headers.get(header) ?? "{}");
}
