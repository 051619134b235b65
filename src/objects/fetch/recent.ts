/**
 * The last bytes of a blob that is being fetched, in pieces. All clients that keep up read the same pieces: none has a
 * copy or a queue of its own.
 */
import { kibibyte } from "../../units.ts";
import { giveBuffer, takeSpareBuffer } from "../upload/part-buffers.ts";

/** The size of a piece: what a client that has stopped reading keeps from being used again. */
export const pieceBytes = 256 * kibibyte;

/** A piece: where it begins in the blob, how much of it is filled, and how many clients read it. */
type Piece = { start: number; buffer: Uint8Array; filled: number; readers: number; isDropped: boolean };

/** Bytes that stay as they are until they are released. */
export type HeldBytes = { bytes: Uint8Array; release(): void };

/** The pieces. {@link close} must be called in the end. */
export class RecentBytes {
  readonly #pieceBytes: number;
  readonly #mostPieces: number;
  readonly #budgetBytes: number;
  #pieces: Piece[] = [];
  #end: number;

  /**
   * `first`: the buffer of a piece, which is given back; more are taken while the budget has room, up to `mostBytes` in
   * all. `start`: where the bytes begin in the blob.
   */
  constructor(first: Uint8Array, mostBytes: number, budgetBytes: number, start: number) {
    this.#pieceBytes = first.byteLength;
    this.#mostPieces = Math.max(1, Math.floor(mostBytes / first.byteLength));
    this.#budgetBytes = budgetBytes;
    this.#end = start;
    this.#pieces.push(pieceAt(start, first));
  }

  /** The first byte that can be read. */
  get from(): number {
    return this.#pieces[0]?.start ?? this.#end;
  }

  /** Where the next byte goes. */
  get end(): number {
    return this.#end;
  }

  /** The first byte that can still be read once more bytes have come. */
  get nextFrom(): number {
    const isFull =
      this.#pieces.length === this.#mostPieces && this.#pieces.at(-1)?.filled === this.#pieceBytes;
    return isFull ? this.from + this.#pieceBytes : this.from;
  }

  /** Copies bytes. The oldest make room for them; without any memory these are left out. */
  append(bytes: Uint8Array): void {
    for (let rest = bytes; rest.byteLength > 0; ) {
      const piece = this.#pieceToFill();
      if (piece === undefined) {
        this.#end += rest.byteLength;
        return;
      }
      const taken = rest.subarray(0, this.#pieceBytes - piece.filled);
      piece.buffer.set(taken, piece.filled);
      piece.filled += taken.byteLength;
      this.#end += taken.byteLength;
      rest = rest.subarray(taken.byteLength);
    }
  }

  /** Leaves out so many bytes, and forgets those before them. */
  skip(sizeBytes: number): void {
    this.close();
    this.#end += sizeBytes;
  }

  #pieceToFill(): Piece | undefined {
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.filled < this.#pieceBytes) return last;
    const buffer = this.#nextBuffer();
    if (buffer === undefined) return undefined;
    const piece = pieceAt(this.#end, buffer);
    this.#pieces.push(piece);
    return piece;
  }

  /** The buffer of a piece that nobody reads: a new one, or that of the oldest. */
  #nextBuffer(): Uint8Array | undefined {
    while (this.#pieces.length > 0) {
      if (this.#pieces.length < this.#mostPieces) {
        const spare = takeSpareBuffer(this.#pieceBytes, this.#budgetBytes);
        if (spare !== undefined) return spare;
      }
      const oldest = this.#pieces.shift();
      if (oldest?.readers === 0) return oldest.buffer;
      if (oldest !== undefined) oldest.isDropped = true;
    }
    return takeSpareBuffer(this.#pieceBytes, this.#budgetBytes);
  }

  /** Bytes from an offset on, up to `end` at most; `undefined` if they are here no more, or not yet. */
  read(offset: number, end: number): HeldBytes | undefined {
    if (offset < this.from || offset >= Math.min(end, this.#end)) return undefined;
    // All but the last are full.
    const piece = this.#pieces[Math.floor((offset - this.from) / this.#pieceBytes)];
    if (piece === undefined) return undefined;
    piece.readers++;
    const bytes = piece.buffer.subarray(offset - piece.start, Math.min(piece.filled, end - piece.start));
    return { bytes, release: () => this.#release(piece) };
  }

  #release(piece: Piece): void {
    piece.readers--;
    if (piece.readers === 0 && piece.isDropped) giveBuffer(piece.buffer);
  }

  /** Forgets the bytes, and gives their memory back once nobody reads it. */
  close(): void {
    for (const piece of this.#pieces.splice(0)) {
      piece.isDropped = true;
      if (piece.readers === 0) giveBuffer(piece.buffer);
    }
  }
}

function pieceAt(start: number, buffer: Uint8Array): Piece {
  return { start, buffer, filled: 0, readers: 0, isDropped: false };
}
