/**
 * The files that have the bytes of a key, and byte ranges that span several of them.
 *
 * A key is a folder, so that one delete removes everything in it, also what interrupted writes left. In it are parts,
 * each under a name that is never reused, and `index`, which lists them, so that nothing is copied to assemble them.
 * Bytes that are put at once are written there too, as `whole`. When that file is complete, it is moved into the folder
 * of the wholes of all keys, which is there already: a new folder for each key would have to be made durable, too.
 */
import type { ByteRange } from "../oci/http.ts";
import { isBlobKey } from "./keys.ts";

/** A file in the folder of a key, and its size. */
export type DiskFile = { name: string; sizeBytes: number };

/** In the folder of a key: the file that all its bytes are written to at once, and the one that lists its parts. */
export const wholeName = "whole";
export const indexName = "index";

/** The file that all bytes of a key are kept in, if they were written at once. */
export function wholePath(key: string): string {
  return `${wholesFolder}${key.slice(key.indexOf("/"))}`;
}

/** The folder of the files of {@link wholePath}. */
export const wholesFolder = "wholes";

/** The files that may have all bytes of a key: that of {@link wholePath}, and that in which earlier releases kept them. */
export function wholePaths(key: string): string[] {
  return [wholePath(key), `${key}/${wholeName}`];
}

/** Whether this is the name of a part: a UUID. */
export function isPartName(name: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name);
}

/**
 * A request to the fsync service to make files of a key's folder durable, if all have their expected size. `isAll`: all
 * other files of the folder are leftovers of interrupted writes, and are deleted. Or, with `wholeBytes`, to keep the file
 * of that size which has all bytes of the key: it is moved to its {@link wholePath}, and the folder is deleted.
 */
export type CommitRequest = PartsCommit | WholeCommit;
export type PartsCommit = { folder: string; files: DiskFile[]; isAll: boolean };
export type WholeCommit = { folder: string; wholeBytes: number };

/** Reads a {@link CommitRequest}; `undefined` if it is invalid, for example if its paths leave the blob folder. */
export function parseCommitRequest(text: string): CommitRequest | undefined {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null) return undefined;
  const { folder, files, isAll, wholeBytes }: Partial<Record<string, unknown>> = { ...value };
  if (typeof folder !== "string" || !isBlobKey(folder)) return undefined;
  if (wholeBytes !== undefined) return isSize(wholeBytes) ? { folder, wholeBytes } : undefined;
  if (typeof isAll !== "boolean") return undefined;
  return Array.isArray(files) && files.every(isFile) ? { folder, files, isAll } : undefined;
}

/** Writes ranges down, for {@link parseFileRange}: a line each. */
export function writeFileRanges(ranges: readonly FileRange[]): Uint8Array {
  return new TextEncoder().encode(ranges.map((range) => `${JSON.stringify(range)}\n`).join(""));
}

/** Reads a line of {@link writeFileRanges}; `undefined` if it is invalid, for example if its path has no bytes of a key. */
export function parseFileRange(line: string): FileRange | undefined {
  const range = parseJson(line);
  return isFileRange(range) ? range : undefined;
}

function isFileRange(value: unknown): value is FileRange {
  const { path, sizeBytes, range }: Partial<Record<keyof FileRange, unknown>> = Object(value);
  const { offset, length }: Partial<Record<keyof ByteRange, unknown>> = Object(range);
  if (typeof path !== "string" || !isBytesPath(path)) return false;
  return isSize(sizeBytes) && isSize(offset) && isSize(length) && offset + length <= sizeBytes;
}

/** Whether this is the path of a file that has bytes of a key: a whole, or a part. */
function isBytesPath(path: string): boolean {
  const [, folder, id, name] = /^(blobs|wholes)\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (!isBlobKey(`blobs/${id}`)) return false;
  return folder === wholesFolder
    ? name === undefined
    : name !== undefined && (name === wholeName || isPartName(name));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A range of a file that has bytes of a key. `path`: below the folder of all files; `sizeBytes`: of the file. */
export type FileRange = { path: string; sizeBytes: number; range: ByteRange };

/** Files that are being read: the bytes of the first, and those that follow. */
export type OpenedFiles = { begun: ReadableStream; others: FileRange[] };

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
  return typeof name === "string" && (isPartName(name) || name === indexName) && isSize(sizeBytes);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** The parts of a key that contain a range of the total bytes, in order, with the range of each; no range is empty. */
export function sliceFiles(
  key: string,
  files: readonly DiskFile[],
  range: ByteRange = { offset: 0, length: Number.POSITIVE_INFINITY },
): FileRange[] {
  const slices: FileRange[] = [];
  const end = range.offset + range.length;
  let start = 0;
  for (const { name, sizeBytes } of files) {
    const from = Math.max(range.offset, start);
    const to = Math.min(end, start + sizeBytes);
    if (from < to) {
      const range = { offset: from - start, length: to - from };
      slices.push({ path: `${key}/${name}`, sizeBytes, range });
    }
    start += sizeBytes;
  }
  return slices;
}
