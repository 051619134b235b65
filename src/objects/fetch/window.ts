/**
 * The last bytes of a blob that is being fetched: the part that fills, and the one before, which is being stored.
 * Clients that keep up read from here, so that none of them has a queue of its own.
 */
import { giveBuffer, takeSpareBuffer } from "../upload/part-buffers.ts";

/** The bytes of a copy at most: a client may take long to read it. */
const copyBytes = 256 * 1024;

/** One or two buffers of the size of a part. {@link close} gives them back. */
export class FetchWindow {
  readonly #partBytes: number;
  readonly #budgetBytes: number;
  /** Where the part that fills begins in the blob. */
  #start: number;
  #filled = 0;
  #current: Uint8Array;
  #previous: Uint8Array | undefined;

  /** `part`: a buffer of the size of a part, which is given back; `start`: where its bytes begin in the blob. */
  constructor(part: Uint8Array, budgetBytes: number, start: number) {
    this.#partBytes = part.byteLength;
    this.#budgetBytes = budgetBytes;
    this.#start = start;
    this.#current = part;
  }

  /** The first byte that can be read. */
  get from(): number {
    return this.#previous === undefined ? this.#start : this.#start - this.#partBytes;
  }

  /** Where the part that fills begins. */
  get start(): number {
    return this.#start;
  }

  /** Where the next byte goes. */
  get end(): number {
    return this.#start + this.#filled;
  }

  get isFull(): boolean {
    return this.#filled === this.#partBytes;
  }

  /** The bytes of the part that fills. */
  get part(): Uint8Array {
    return this.#current.subarray(0, this.#filled);
  }

  /** Copies as many of the bytes as the part has room for; returns how many. */
  append(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.#partBytes - this.#filled);
    this.#current.set(taken, this.#filled);
    this.#filled += taken.byteLength;
    return taken.byteLength;
  }

  /**
   * Begins the next part, and keeps the full one for reading. The part before that must be stored. False if there is no
   * memory for both: then {@link restart}, once the full part is stored.
   */
  tryNext(): boolean {
    const next = this.#previous ?? takeSpareBuffer(this.#partBytes, this.#budgetBytes);
    if (next === undefined) return false;
    this.#previous = this.#current;
    this.#begin(next);
    return true;
  }

  /** Begins the next part in the place of the full one, which must be stored. */
  restart(): void {
    this.#begin(this.#current);
  }

  #begin(buffer: Uint8Array): void {
    this.#start += this.#filled;
    this.#filled = 0;
    this.#current = buffer;
  }

  /** A copy of bytes from an offset on, up to `end`; `undefined` if they are here no more, or not yet. */
  read(offset: number, end: number): Uint8Array | undefined {
    if (offset < this.from || offset >= Math.min(end, this.end)) return undefined;
    const isCurrent = offset >= this.#start;
    const buffer = isCurrent ? this.part : this.#previous;
    const at = isCurrent ? offset - this.#start : offset - this.#start + this.#partBytes;
    return buffer?.slice(at, at + Math.min(copyBytes, end - offset));
  }

  /** Gives the memory back. */
  close(): void {
    giveBuffer(this.#current);
    if (this.#previous !== undefined) giveBuffer(this.#previous);
    this.#previous = undefined;
    this.#begin(new Uint8Array());
  }
}
