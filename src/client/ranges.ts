/** Parts of blobs and of uploads, and how long answers are. Source: RFC 9110, sections 8.6 and 14. */
import { parseContentLength } from "../oci/http.ts";

/** Some bytes of a blob: all from an offset, or a number of them. */
export type BlobRange = { offset: number; length?: number };

/** The `Range` of a request for some bytes. */
export function rangeHeader({ offset, length }: BlobRange): string {
  return `bytes=${offset}-${length === undefined ? "" : offset + length - 1}`;
}

/** Whether an answer has the bytes from an offset on. */
export function startsAt({ headers }: Response, offset: number): boolean {
  return headers.get("Content-Range")?.startsWith(`bytes ${offset}-`) ?? false;
}

/**
 * The length of the content, if the answer says it. What was compressed although it was not to be is decoded by the
 * runtime: its length is that of other bytes.
 */
export function lengthOf({ headers }: Response): number | undefined {
  const isEncoded = (headers.get("Content-Encoding") ?? "identity").toLowerCase() !== "identity";
  return isEncoded ? undefined : parseContentLength(headers.get("Content-Length"));
}

/** The last byte of an upload that the registry has, by its answer; `undefined` if the answer does not say. */
export function lastByteOf({ headers }: Pick<Response, "headers">): number | undefined {
  const [, last] = /^(?:bytes=)?0-(\d{1,15})$/.exec(headers.get("Range")?.trim() ?? "") ?? [];
  return last === undefined ? undefined : Number(last);
}
