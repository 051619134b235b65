/** Several ranges in one answer: `multipart/byteranges`. Source: RFC 9110, sections 14.6 and 15.3.7.2; RFC 2046. */
import type { ByteRange } from "../../oci/http.ts";
import type { RangePiece } from "../../storage/read-ranges.ts";
import type { Reply } from "../context.ts";

/** `Content-Range` of a range of content that has `sizeBytes`. */
export function contentRange({ offset, length }: ByteRange, sizeBytes: number): string {
  return `bytes ${offset}-${offset + length - 1}/${sizeBytes}`;
}

/**
 * The answer with a part for each range, in the order asked.
 *
 * @param pieces the bytes of the ranges, in that order
 * @param sizeBytes the size of the whole
 * @param contentType what the whole is
 */
export function multipartReply(
  ranges: readonly ByteRange[],
  pieces: AsyncIterable<RangePiece> | Iterable<RangePiece>,
  sizeBytes: number,
  contentType: string,
): Reply & { headers: { "Content-Type": string } } {
  // Random, so that nobody can push content that contains it.
  const boundary = crypto.randomUUID();
  const encoder = new TextEncoder();
  const heads = ranges.map((range, index) =>
    encoder.encode(
      `${index === 0 ? "" : "\r\n"}--${boundary}\r\nContent-Type: ${contentType}\r\nContent-Range: ${contentRange(range, sizeBytes)}\r\n\r\n`,
    ),
  );
  const end = encoder.encode(`\r\n--${boundary}--\r\n`);
  const contentLength = [...heads, end].reduce(
    (sum, text) => sum + text.byteLength,
    ranges.reduce((sum, { length }) => sum + length, 0),
  );
  const { readable, writable } = new FixedLengthStream(contentLength);
  // A client that is still connected notices by the length that the body was cut short.
  writeParts(writable, heads, pieces, end).catch(() => {});
  return {
    status: 206,
    headers: { "Content-Type": `multipart/byteranges; boundary=${boundary}` },
    body: readable,
    contentLength,
  };
}

async function writeParts(
  writable: WritableStream<Uint8Array>,
  heads: Uint8Array[],
  pieces: AsyncIterable<RangePiece> | Iterable<RangePiece>,
  end: Uint8Array,
): Promise<void> {
  const writer = writable.getWriter();
  let begun = -1;
  try {
    for await (const { index, bytes } of pieces) {
      const head = heads[index];
      if (index !== begun && head !== undefined) await writer.write(head);
      begun = index;
      await writer.write(bytes);
    }
    await writer.write(end);
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => {});
    throw error;
  }
}
