/**
 * Byte ranges: of downloads (RFC 9110, section 14) and of uploads (distribution-spec, "Pushing a blob in chunks").
 */

/** Part of some content: `length` bytes from `offset`, both whole numbers. */
export type ByteRange = { offset: number; length: number };

/** What a `Range` header asks of content of a known size. */
export type RangeRequest = "whole" | "unsatisfiable" | ByteRange;

/**
 * Reads a `Range` header against content of `sizeBytes`.
 *
 * What is not a single range of bytes is ignored, as RFC 9110 (section 14.2) allows: the answer is then the whole.
 * A range that ends before it begins is rejected, which the same section allows too.
 */
export function parseRange(header: string | null, sizeBytes: number): RangeRequest {
  const match = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(header ?? "");
  if (match === null) return "whole";
  const [, firstText = "", lastText = ""] = match;
  if (firstText === "") {
    if (lastText === "") return "whole";
    const length = Math.min(Number(lastText), sizeBytes);
    return length === 0 ? "unsatisfiable" : { offset: sizeBytes - length, length };
  }
  const first = Number(firstText);
  const last = lastText === "" ? sizeBytes - 1 : Math.min(Number(lastText), sizeBytes - 1);
  const isBackwards = lastText !== "" && Number(lastText) < first;
  return first >= sizeBytes || isBackwards ? "unsatisfiable" : { offset: first, length: last - first + 1 };
}

/**
 * Reads the `Content-Range` of a chunk, `<first>-<last>`, both inclusive; `undefined` when it is malformed.
 *
 * Some clients send the form of RFC 9110, `bytes <first>-<last>/<size or *>`; it means the same and is taken too.
 */
export function parseContentRange(header: string): ByteRange | undefined {
  const match = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header.trim());
  if (match === null) return undefined;
  const offset = Number(match[1]);
  const length = Number(match[2]) - offset + 1;
  return length > 0 ? { offset, length } : undefined;
}

/**
 * The `Range` header of an upload that has received `sizeBytes`: `0-<last>`.
 *
 * An empty upload says `0-0`, as registries have done since the first: the form has no word for nothing.
 */
export function uploadRange(sizeBytes: number): string {
  return `0-${Math.max(0, sizeBytes - 1)}`;
}

/** Reads a `Content-Length`; `undefined` when there is none or it is malformed. */
export function parseContentLength(header: string | null): number | undefined {
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
