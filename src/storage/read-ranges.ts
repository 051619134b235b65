/** Reads several ranges of an object with fewer reads of the bucket. */
import type { ByteRange } from "../oci/http.ts";
import { type Bucket, BucketFailed, type StoredBytes } from "./bucket.ts";
import { readPieces } from "./streams.ts";

/** Ranges that are closer to each other than this, in bytes, are read together. */
const mergedGapBytes = 64 * 1024;

/** How many reads are open at once, as each takes a while to begin. */
const openReads = 4;

/** Ranges that are read together, in the order of their offsets. */
type Read = { span: ByteRange; ranges: ByteRange[] };

/** Some bytes of one of the ranges, which is identified by its index in the request. */
export type RangePiece = { index: number; bytes: Uint8Array };

/** Groups ranges that are close to each other and adjacent in the request. */
function mergeReads(ranges: readonly ByteRange[]): Read[] {
  const reads: Read[] = [];
  for (const range of ranges) {
    const last = reads.at(-1);
    const gap = last === undefined ? -1 : range.offset - (last.span.offset + last.span.length);
    if (last === undefined || gap < 0 || gap >= mergedGapBytes) {
      reads.push({ span: { ...range }, ranges: [range] });
    } else {
      last.span.length += gap + range.length;
      last.ranges.push(range);
    }
  }
  return reads;
}

/**
 * Reads ranges in the order given. They must be within the object and not overlap.
 *
 * @returns the pieces, each of which is valid only until the next one is requested; `undefined` if no object of that
 *   size is stored there
 * @throws BucketFailed if the bucket fails, also while the pieces are read
 */
export async function readRanges(
  bucket: Bucket,
  stored: StoredBytes,
  ranges: readonly ByteRange[],
): Promise<AsyncGenerator<RangePiece> | undefined> {
  const [first, ...more] = mergeReads(ranges);
  if (first === undefined) return undefined;
  const body = await bucket.read(stored, first.span);
  return body === undefined ? undefined : piecesOf(bucket, stored, [first, ...more], body);
}

async function* piecesOf(
  bucket: Bucket,
  stored: StoredBytes,
  reads: Read[],
  firstBody: ReadableStream,
): AsyncGenerator<RangePiece> {
  const open: Promise<ReadableStream | undefined>[] = [Promise.resolve(firstBody)];
  let index = 0;
  try {
    for (const [number, { span, ranges }] of reads.entries()) {
      for (const next of reads.slice(number + open.length, number + openReads)) {
        const opening = bucket.read(stored, next.span);
        // The error is handled where the read is awaited.
        opening.catch(() => {});
        open.push(opening);
      }
      const body = await open[0];
      if (body === undefined) throw new BucketFailed("read: what is stored changed meanwhile");
      yield* cutRanges(body, span.offset, ranges, index);
      open.shift();
      index += ranges.length;
    }
  } finally {
    for (const opened of open) opened.then((body) => body?.cancel()).catch(() => {});
  }
}

/** Cuts ranges, the first of which has this index, from a body that begins at `offset`. */
async function* cutRanges(
  body: ReadableStream,
  offset: number,
  ranges: ByteRange[],
  index: number,
): AsyncGenerator<RangePiece> {
  let [position, current] = [offset, 0];
  for await (const piece of readPieces(body)) {
    const end = position + piece.byteLength;
    for (let range = ranges[current]; range !== undefined && range.offset < end; range = ranges[++current]) {
      const rangeEnd = range.offset + range.length;
      const from = Math.max(range.offset, position);
      yield {
        index: index + current,
        bytes: piece.subarray(from - position, Math.min(rangeEnd, end) - position),
      };
      if (rangeEnd > end) break;
    }
    position = end;
  }
  if (current < ranges.length) throw new BucketFailed("read: the bytes ended before their length");
}
