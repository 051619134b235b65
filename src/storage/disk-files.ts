/** The files in a key's folder, and byte ranges that span several of them. */
import type { ByteRange } from "../oci/http.ts";
import { isBlobKey } from "./keys.ts";

/** A file in the folder of a key, and its size. */
export type DiskFile = { name: string; sizeBytes: number };

/** The file that holds all bytes of a key, and the one that lists its parts. */
export const wholeName = "whole";
export const indexName = "index";

/** Whether this is the name of a part: a UUID. */
export function isPartName(name: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name);
}

/**
 * A request to the fsync service to make files of a folder durable, if all have their expected size. `isAll`: all other
 * files of the folder are leftovers of interrupted writes, and are deleted.
 */
export type CommitRequest = { folder: string; files: DiskFile[]; isAll: boolean };

/** Reads a {@link CommitRequest}; `undefined` if it is invalid, for example if its paths leave the blob folder. */
export function parseCommitRequest(text: string): CommitRequest | undefined {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null) return undefined;
  const { folder, files, isAll }: Partial<Record<keyof CommitRequest, unknown>> = value;
  if (typeof folder !== "string" || !isBlobKey(folder) || typeof isAll !== "boolean") return undefined;
  return Array.isArray(files) && files.every(isFile) ? { folder, files, isAll } : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A file of which a range is to be read. */
export type FileSlice = DiskFile & { range: ByteRange };

/** Files that are being read: the bytes of the first, and those that follow. */
export type OpenedFiles = { begun: ReadableStream; others: FileSlice[] };

/** The files of parts, which their etags describe. */
export function filesOf(parts: readonly { etag: string }[]): DiskFile[] {
  return parts.map(({ etag }) => JSON.parse(etag));
}

/** The total size of files in bytes. */
export function sumOf(files: readonly DiskFile[]): number {
  return files.reduce((sum, file) => sum + file.sizeBytes, 0);
}

/** The files in an index, from its JSON; `undefined` if it is damaged. */
export function parseFiles(text: string): DiskFile[] | undefined {
  const files = parseJson(text);
  return Array.isArray(files) && files.every(isPart) ? files : undefined;
}

function isPart(value: unknown): value is DiskFile {
  return isFile(value) && isPartName(value.name);
}

function isFile(value: unknown): value is DiskFile {
  const { name, sizeBytes }: Partial<Record<keyof DiskFile, unknown>> = Object(value);
  return (
    typeof name === "string" &&
    (isPartName(name) || name === wholeName || name === indexName) &&
    Number.isSafeInteger(sizeBytes) &&
    Number(sizeBytes) >= 0
  );
}

/** The files that contain a range of the total bytes, in order, with the part of each; empty parts are left out. */
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
