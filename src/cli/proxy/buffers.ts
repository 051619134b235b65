/** The memory in which chunks are kept until the registry has them: a fixed amount, however many pushes there are. */

/** The memory for all chunks together; there are at least two buffers. */
const budgetBytes = 160 * 1024 * 1024;

/** Buffers of one size, which are used again and again. */
export class ChunkBuffers {
  #bufferBytes: number;
  #taken = 0;
  #free: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];

  constructor(bufferBytes: number) {
    this.#bufferBytes = bufferBytes;
  }

  /** The size of a buffer. */
  get bufferBytes(): number {
    return this.#bufferBytes;
  }

  /** How many buffers there may be. */
  get limit(): number {
    return Math.max(2, Math.floor(budgetBytes / this.#bufferBytes));
  }

  /** How many are in use. */
  get taken(): number {
    return this.#taken;
  }

  /** Whether a push that has no buffer waits for one. */
  get isShort(): boolean {
    return this.#waiting.length > 0;
  }

  /** Sets the smallest size of buffers from now on. */
  growTo(bytes: number): void {
    if (bytes <= this.#bufferBytes) return;
    this.#bufferBytes = bytes;
    this.#free = [];
  }

  /** Gets a buffer as soon as there is one, in the order of requests. A push that has one waits for no other. */
  async take(): Promise<Buffer> {
    return this.takeNow() ?? (await new Promise<Buffer>((resolve) => this.#waiting.push(resolve)));
  }

  /** A buffer, if there is one that nobody waits for. */
  takeNow(): Buffer | undefined {
    if (this.#taken >= this.limit || this.isShort) return undefined;
    this.#taken++;
    return this.#free.pop() ?? this.#make();
  }

  /** Gives a buffer back. */
  give(buffer: Buffer): void {
    const kept = buffer.byteLength === this.#bufferBytes ? buffer : undefined;
    const next = this.#taken <= this.limit ? this.#waiting.shift() : undefined;
    if (next !== undefined) {
      next(kept ?? this.#make());
      return;
    }
    this.#taken--;
    // When no push is in progress, the memory is released.
    if (this.#taken === 0) this.#free = [];
    else if (kept !== undefined) this.#free.push(kept);
  }

  /** One of its own, so that no pool of small ones keeps it. Its memory is there once it is written. */
  #make(): Buffer {
    return Buffer.allocUnsafeSlow(this.#bufferBytes);
  }
}
