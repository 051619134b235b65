/** Bytes that lie in several files, one after the other. */
import type { ByteRange } from "../oci/range.ts";

/** A file in the folder of a key, and its size. */
export type DiskFile = { name: string; sizeBytes: number };

/** The files that hold a range of all their bytes, in order, and what of each belongs to it; empty ones are left out. */
export function sliceFiles(
  files: readonly DiskFile[],
  range: ByteRange = { offset: 0, length: Number.POSITIVE_INFINITY },
): { name: string; range: ByteRange }[] {
  const slices = [];
  const end = range.offset + range.length;
  let start = 0;
  for (const { name, sizeBytes } of files) {
    const from = Math.max(range.offset, start);
    const to = Math.min(end, start + sizeBytes);
    if (from < to) slices.push({ name, range: { offset: from - start, length: to - from } });
    start += sizeBytes;
  }
  return slices;
}
