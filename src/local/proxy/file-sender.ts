/**
 * Sends what an answer of the Worker names: ranges of files that have the bytes of a blob. So large blobs do not pass
 * through workerd.
 */
import { type FileHandle, open } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { type FileRange, parseFileRange } from "../../storage/disk-files.ts";
import { kibibyte, mebibyte } from "../../units.ts";
import type { StallDetector } from "./stall-detector.ts";

/** The size of a read. Smaller ones take longer in all; larger ones do not fit into a processor's cache. */
const readBytes = 512 * kibibyte;
/** The total memory for such reads. Beyond it, they have the small size. */
const mostBufferBytes = 64 * mebibyte;
const smallReadBytes = 64 * kibibyte;
/** How many buffers are kept for the next answers. */
const mostSpare = 8;

const spareBuffers: Buffer[] = [];
let bufferBytes = 0;

/** A file is missing, or is not as the Worker saw it. */
class FileChanged extends Error {}

/** Sends the files of one answer. */
export class FileSender {
  readonly #directory: string | undefined;
  readonly #length: number;
  readonly #response: ServerResponse;
  readonly #stalls: StallDetector;
  /** Lines of the list that were not read yet, and the beginning of the next one. */
  readonly #lines: string[] = [];
  #text = "";
  #isListed = false;
  #isStopped = false;
  #onListed = () => {};
  #onTaken = () => {};
  /** Whether the kernel has taken all pieces so far. Until then, their buffer is not to be used for anything else. */
  #hasTakenAll = true;
  /** Whether it waits for the client to read. */
  isUnread = false;

  /**
   * @param directory the folder of all files; `undefined` if none may be named
   * @param length how many bytes the client is to get
   */
  constructor(
    directory: string | undefined,
    length: number,
    response: ServerResponse,
    stalls: StallDetector,
  ) {
    this.#directory = directory;
    this.#length = length;
    this.#response = response;
    this.#stalls = stalls;
  }

  /** Takes a piece of the list of files. */
  take(piece: Buffer): void {
    const lines = (this.#text + piece.toString("latin1")).split("\n");
    this.#text = lines.pop() ?? "";
    this.#lines.push(...lines);
    this.#onListed();
  }

  /** To be called when the list has come to its end. */
  end(): void {
    this.#isListed = true;
    this.#onListed();
  }

  /**
   * Sends the files as the list comes. Never throws.
   *
   * @param writeHead called when there are bytes to send
   * @returns false if some could not be read or the client has gone; then the head and some bytes may have been sent
   */
  async send(writeHead: () => void): Promise<boolean> {
    try {
      const isFree = () => this.#hasTakenAll;
      for await (const piece of readRanges(this.#directory, this.#ranges(), isFree)) {
        if (this.#isStopped) return false;
        if (!this.#response.headersSent) writeHead();
        await this.#write(piece);
      }
      return !this.#isStopped;
    } catch {
      return false;
    }
  }

  /** Sends nothing more. To be called when the client has gone, or gets another answer. */
  stop(): void {
    this.#isStopped = true;
    this.#onTaken();
    this.#onListed();
  }

  /** The ranges, as their list comes; throws unless it is as long as was said. */
  async *#ranges(): AsyncGenerator<FileRange> {
    let missingBytes = this.#length;
    while (!this.#isStopped) {
      const line = this.#lines.shift();
      if (line !== undefined) {
        const range = parseFileRange(line);
        missingBytes -= range?.range.length ?? 0;
        if (range === undefined || missingBytes < 0) break;
        yield range;
      } else if (this.#isListed) break;
      else await this.#more();
    }
    if (missingBytes !== 0) throw new FileChanged("the list of files is not as it was announced");
  }

  /** Resolves when more of the list has come, or nothing more is needed. */
  #more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onListed = resolve;
    return promise;
  }

  /** Resolves when the kernel has taken the piece, or the client has gone. */
  #write(piece: Buffer): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onTaken = resolve;
    this.#hasTakenAll = false;
    this.#response.write(piece, () => {
      this.#hasTakenAll = true;
      this.#stalls.sent += piece.byteLength;
      this.isUnread = false;
      resolve();
    });
    this.isUnread = this.#response.writableLength > 0;
    return promise;
  }
}

/**
 * The bytes of ranges, one after the other. A piece is valid until the next one is requested; the last one for as long as
 * `isFree` says no. Each file is opened when it is its turn, and closed when the iteration ends, however it does.
 */
async function* readRanges(
  directory: string | undefined,
  ranges: AsyncIterable<FileRange>,
  isFree: () => boolean,
): AsyncGenerator<Buffer> {
  if (directory === undefined) throw new FileChanged("no file was to be named");
  const buffer = takeBuffer();
  try {
    for await (const range of ranges) yield* readRange(directory, range, buffer);
  } finally {
    giveBuffer(buffer, isFree());
  }
}

async function* readRange(
  directory: string,
  { path, sizeBytes, range }: FileRange,
  buffer: Buffer,
): AsyncGenerator<Buffer> {
  const file = await open(join(directory, path));
  try {
    const stats = await file.stat();
    if (stats.size !== sizeBytes) throw new FileChanged(`${path} has another size`);
    const end = range.offset + range.length;
    for (let at = range.offset; at < end; ) {
      const sizeRead = await readInto(buffer, file, at, end);
      yield buffer.subarray(0, sizeRead);
      at += sizeRead;
    }
  } finally {
    await file.close();
  }
}

async function readInto(buffer: Buffer, file: FileHandle, at: number, end: number): Promise<number> {
  const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.byteLength, end - at), at);
  if (bytesRead === 0) throw new FileChanged("the file ended before its length");
  return bytesRead;
}

function takeBuffer(): Buffer {
  const isSmall = bufferBytes + readBytes > mostBufferBytes;
  const buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(isSmall ? smallReadBytes : readBytes);
  bufferBytes += buffer.byteLength;
  return buffer;
}

function giveBuffer(buffer: Buffer, isFree: boolean): void {
  bufferBytes -= buffer.byteLength;
  if (isFree && buffer.byteLength === readBytes && spareBuffers.length < mostSpare) spareBuffers.push(buffer);
}
