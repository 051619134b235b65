/** The files in a tar archive. Source: POSIX, "pax Interchange Format"; GNU tar, "Basic Tar Format". */
import type { FileHandle } from "node:fs/promises";
import { posix } from "node:path";
import { CommandError } from "../errors.ts";

/** A file of an archive: where its bytes are. */
export type TarEntry = { offset: number; size: number };

const blockBytes = 512;
const maxNameBytes = 64 * 1024;
const maxEntries = 100_000;

/**
 * Reads the headers of an archive; links are resolved.
 *
 * @param archive how people call it
 */
export async function readTar(file: FileHandle, archive: string): Promise<Map<string, TarEntry>> {
  const entries = new Map<string, TarEntry>();
  const links = new Map<string, string>();
  const { size: archiveBytes } = await file.stat();
  let offset = 0;
  let given: { path?: string; linkpath?: string; size?: number } = {};
  for (let count = 0; ; count++) {
    const header = await readBlock(file, offset, blockBytes);
    if (header.byteLength === 0 || header.every((byte) => byte === 0)) break;
    const program = count === 0 ? compressionOf(header) : undefined;
    if (program !== undefined)
      throw new CommandError(
        `${archive} is compressed: ${program} -dc writes the archive, which may come on stdin`,
      );
    if (header.byteLength < blockBytes) throw damaged(archive);
    if (!hasChecksum(header)) throw new CommandError(`${archive} is no tar archive, or is damaged`);
    const size = given.size ?? numberAt(header, 124, 12);
    const data = offset + blockBytes;
    if (count === maxEntries) throw new CommandError(`${archive} has more than ${maxEntries} entries`);
    if (!(Number.isSafeInteger(size) && size >= 0 && data + size <= archiveBytes)) throw damaged(archive);
    offset = data + Math.ceil(size / blockBytes) * blockBytes;
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "x" || type === "g" || type === "L" || type === "K") {
      const text = (await readBlock(file, data, Math.min(size, maxNameBytes))).toString();
      if (type === "x") given = { ...given, ...paxOf(text) };
      if (type === "L") given.path = text.replace(/\0.*$/s, "");
      if (type === "K") given.linkpath = text.replace(/\0.*$/s, "");
      continue;
    }
    const name = normal(given.path ?? nameOf(header));
    if (type === "1") links.set(name, normal(given.linkpath ?? textAt(header, 157, 100)));
    if (type === "2") {
      links.set(name, normal(posix.join(posix.dirname(name), given.linkpath ?? textAt(header, 157, 100))));
    }
    if (type === "0" || type === "\0") entries.set(name, { offset: data, size });
    given = {};
  }
  for (const [name, target] of links) {
    const entry = entries.get(target);
    if (entry !== undefined) entries.set(name, entry);
  }
  return entries;
}

function damaged(archive: string): CommandError {
  return new CommandError(`${archive} is damaged or cut short: an entry of it does not end within it`);
}

/** How bytes are compressed that begin like this; `undefined` if they are not, or in another way. */
export function compressionOf(start: Buffer): "gzip" | "zstd" | undefined {
  if (start.byteLength >= 2 && start.readUInt16BE(0) === 0x1f8b) return "gzip";
  return start.byteLength >= 4 && start.readUInt32LE(0) === 0xfd2fb528 ? "zstd" : undefined;
}

/** Reads some bytes of a file, as far as there are any. */
export async function readBlock(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function normal(name: string): string {
  return posix.normalize(name).replace(/^(?:\.\/|\/)+/, "");
}

function nameOf(header: Buffer): string {
  const prefix = textAt(header, 257, 5) === "ustar" ? textAt(header, 345, 155) : "";
  const name = textAt(header, 0, 100);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function textAt(header: Buffer, offset: number, length: number): string {
  const field = header.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString();
}

function numberAt(header: Buffer, offset: number, length: number): number {
  const first = header[offset] ?? 0;
  // GNU tar writes numbers that are too large for octal digits in base 256.
  if ((first & 0x80) !== 0) return header.readUIntBE(offset + length - 6, 6);
  const digits = textAt(header, offset, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : 0;
}

function hasChecksum(header: Buffer): boolean {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return sum === numberAt(header, 148, 8);
}

function paxOf(text: string): { path?: string; linkpath?: string; size?: number } {
  const found: { path?: string; linkpath?: string; size?: number } = {};
  for (const [, key, value = ""] of text.matchAll(/\d+ (path|linkpath|size)=([^\n]*)\n/g)) {
    if (key === "size") found.size = Number(value);
    else if (key === "path" || key === "linkpath") found[key] = value;
  }
  return found;
}
