/** A client of a fetch, and the stream that it reads. */
import { meter } from "../../metrics/meter.ts";
import { type FileRange, writeFileRanges } from "../../storage/disk-files.ts";
import type { RunningHash } from "../running-hash.ts";
import type { BlobFetch } from "./blob.ts";
import type { Reader } from "./readers.ts";

/** The client. Exactly one of {@link end} and {@link abort} must be called in the end. */
export class FetchClient {
  readonly #fetch: BlobFetch;
  readonly #reader: Reader;
  readonly #writable: WritableStream<Uint8Array>;
  readonly #upstream: string;
  /** Covers all that it was given, where some of that was not verified by the fetch. */
  hash: RunningHash | undefined;

  /** `upstream`: the id, for the metrics. */
  constructor(fetch: BlobFetch, reader: Reader, writable: WritableStream<Uint8Array>, upstream: string) {
    this.#fetch = fetch;
    this.#reader = reader;
    this.#writable = writable;
    this.#upstream = upstream;
  }

  /** The offset of the next byte that it needs. */
  get offset(): number {
    return this.#reader.offset;
  }

  /** Gives it bytes that are in memory; false if there are none for it. */
  async takeRecent(): Promise<boolean> {
    const held = this.#fetch.read(this.offset);
    if (held === undefined) return false;
    try {
      await this.write(held.bytes);
    } finally {
      held.release();
    }
    return true;
  }

  /** Gives it bytes, which may be changed once this has resolved. */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength === 0) return;
    this.hash?.update(bytes);
    const writer = this.#writable.getWriter();
    try {
      await writer.write(bytes);
    } finally {
      writer.releaseLock();
    }
    this.#note(bytes.byteLength);
  }

  /** Gives it so many bytes, which pass through no memory of the isolate; false if `pipe` finds none. */
  async pipe(
    sizeBytes: number,
    pipe: (writable: WritableStream<Uint8Array>) => Promise<boolean>,
  ): Promise<boolean> {
    if (!(await pipe(this.#writable))) return false;
    this.#note(sizeBytes);
    return true;
  }

  /** Gives it the names of files instead of so many bytes. */
  async name(sizeBytes: number, files: readonly FileRange[]): Promise<void> {
    const writer = this.#writable.getWriter();
    try {
      await writer.write(writeFileRanges(files));
    } finally {
      writer.releaseLock();
    }
    this.#note(sizeBytes);
  }

  async end(): Promise<void> {
    await this.#writable.close();
    this.#fetch.readers.leave(this.#reader);
  }

  /** Breaks its connection, if it still has one. Never throws. */
  async abort(reason: unknown): Promise<void> {
    await this.#writable.abort(reason).catch(() => {});
    this.#fetch.readers.leave(this.#reader);
  }

  #note(sizeBytes: number): void {
    this.#reader.offset += sizeBytes;
    meter.add("stowage_upstream_bytes_total", [this.#upstream, "served"], sizeBytes);
    this.#fetch.readers.moved.ring();
  }
}
