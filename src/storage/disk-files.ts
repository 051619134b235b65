/** Bytes that lie in several files, one after the other. */
import type { ByteRange } from "../oci/range.ts";

/** A file in the folder of a key, and its size. */
export type DiskFile = { name: string; sizeBytes: number };

/** A file of which a range is to be read. */
export type FileSlice = DiskFile & { range: ByteRange };

/** How many bytes files have together. */
export function sumOf(files: readonly DiskFile[]): number {
  return files.reduce((sum, file) => sum + file.sizeBytes, 0);
}

/** The files that an index lists, written as JSON; `undefined` for what was not written so. */
export function parseFiles(text: string): DiskFile[] | undefined {
  try {
    const files: unknown = JSON.parse(text);
    return Array.isArray(files) && files.every(isFile) ? files : undefined;
  } catch {
    return undefined;
  }
}

function isFile(value: Partial<DiskFile> | null): value is DiskFile {
  return (
    typeof value?.name === "string" &&
    /^[0-9a-f-]+$/.test(value.name) &&
    Number.isSafeInteger(value.sizeBytes) &&
    Number(value.sizeBytes) >= 0
  );
}

/** The files that hold a range of all their bytes, in order, and what of each belongs to it; empty ones are left out. */
export function sliceFiles(
  files: readonly DiskFile[],
  range: ByteRange = { offset: 0, length: Number.POSITIVE_INFINITY },
): FileSlice[] {
  const slices = [];
  const end = range.offset + range.length;
  let start = 0;
  for (const { name, sizeBytes } of files) {
    const from = Math.max(range.offset, start);
    const to = Math.min(end, start + sizeBytes);
    if (from < to) slices.push({ name, sizeBytes, range: { offset: from - start, length: to - from } });
    start += sizeBytes;
  }
  return slices;
}
