/**
 * A blob that is fetched from an upstream: once, whoever waits for it. Its bytes are hashed and stored as they come, and
 * clients read them meanwhile; the last ones are let go only when all of them have the right digest.
 *
 * The upstream is not slowed down to the pace of slow clients. Where what is stored cannot be read before the end, it
 * waits a moment for the fastest one.
 */
import { log } from "../../log.ts";
import { meter } from "../../metrics/meter.ts";
import { type Failure, failure } from "../../oci/errors.ts";
import { algorithmOf } from "../../oci/reference.ts";
import { type Claim, DiskFull } from "../../storage/disk-space.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { kibibyte, mebibyte } from "../../units.ts";
import { RunningHash } from "../running-hash.ts";
import type { BodyWriter } from "../upload/append.ts";
import { takeBuffer } from "../upload/part-buffers.ts";
import { Bell } from "./bell.ts";
import { GivenUp } from "./given-up.ts";
import type { FetchHost } from "./host.ts";
import { FetchPlace } from "./place.ts";
import { Readers } from "./readers.ts";
import { Receiver } from "./receiver.ts";
import { type HeldBytes, pieceBytes, RecentBytes } from "./recent.ts";
import type { StoredQuestion } from "./store.ts";
import { StoredBlob } from "./stored-blob.ts";

/** How many of the last bytes are held back until all are verified. */
const heldBackBytes = 64 * kibibyte;

/** How many of the last bytes are in memory, at most. */
const recentBytes = 8 * mebibyte;

/** How long a piece stays in memory for the fastest client, at most, if what is stored cannot be read before the end. */
const leaderMs = 4;

/** From this on, a part is full after two seconds at most. */
const fastBytesPerSecond = 32 * mebibyte;

/** How long the first part is waited for: at first, when few bytes say nothing of their speed, and if they come fast. */
const leastFirstPartMs = 150;
const mostFirstPartMs = 400;

/** How it ended: where the bytes are; or why there are none, for the client. */
export type Ending = { ok: true; location: BlobLocation; isLinked: boolean } | Failure;

function busy({ upstream }: StoredQuestion): GivenUp {
  const told = failure("UPSTREAM_UNREACHABLE", { upstream, retryAfterSeconds: 5 });
  return new GivenUp(told, "too many fetches are under way");
}

/** One fetch. {@link run} is called once. */
export class BlobFetch {
  /** Rings when bytes came, when they were stored, and at the end. */
  readonly arrived = new Bell();
  /** Rings when bytes were stored, and at the end. */
  readonly grown = new Bell();
  readonly readers: Readers;
  readonly stored: StoredBlob;
  /** How often a client that joined late has asked the upstream for what it missed. */
  catchUps = 0;
  readonly #host: FetchHost;
  readonly #question: StoredQuestion;
  readonly #place: FetchPlace;
  readonly #receiver: Receiver;
  #recent: RecentBytes | undefined;
  /** What cuts the bytes into parts and stores them. */
  #writer: BodyWriter | undefined;
  #hash: RunningHash | undefined;
  #claim: Claim | undefined;
  #ending: Ending | undefined;

  constructor(host: FetchHost, id: string, question: StoredQuestion) {
    this.#host = host;
    this.#question = question;
    this.readers = new Readers(host.clock);
    this.#place = new FetchPlace(host, question.upstream, id);
    this.stored = new StoredBlob(host, id, question.digest);
    this.#receiver = new Receiver(host, question, {
      onBegin: () => this.arrived.ring(),
      take: (bytes) => this.#take(bytes),
    });
  }

  /** How it ended; `undefined` while it is under way. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** The size of the blob, as far as it is known. */
  get sizeBytes(): number | undefined {
    return this.#ending?.ok === true ? this.#ending.location.sizeBytes : this.#receiver.sizeBytes;
  }

  /** Up to which offset bytes may be given to clients. */
  get released(): number {
    return Math.max(0, this.#end - heldBackBytes);
  }

  /** Up to which offset bytes that are stored may be given to clients. */
  get readableBytes(): number {
    return Math.min(this.stored.storedBytes, this.released);
  }

  /**
   * Whether bytes come so fast that they can be read from what is stored in a moment. To keep them in memory as well, and
   * to give each client a copy, would slow down the fetch.
   */
  get isFast(): boolean {
    const { isReadable, storedBytes } = this.stored;
    return isReadable && storedBytes > 0 && this.#comesFast;
  }

  /** How long it is worth to wait for the first part, in milliseconds: {@link isFast} is known only then. */
  get firstPartMs(): number {
    if (!this.stored.isReadable || this.stored.storedBytes > 0) return 0;
    return this.#comesFast ? mostFirstPartMs : leastFirstPartMs;
  }

  get #comesFast(): boolean {
    return this.#receiver.bytesPerSecond >= fastBytesPerSecond;
  }

  /** The first offset whose bytes are in memory; those before are stored. */
  get inMemoryFrom(): number {
    return this.#recent?.from ?? 0;
  }

  /** How long it still takes, in milliseconds; `undefined` if that cannot be told. */
  get msLeft(): number | undefined {
    return this.#receiver.msLeft(this.#end);
  }

  /** Released bytes from an offset on; `undefined` if they are not in memory. */
  read(offset: number): HeldBytes | undefined {
    return this.#recent?.read(offset, this.released);
  }

  get #end(): number {
    return this.#recent?.end ?? 0;
  }

  /** Fetches the blob. Never throws: how it ended is in {@link ending}. */
  async run(): Promise<void> {
    try {
      const start = await this.stored.open(this.#question);
      if (start === 0) this.#hash = new RunningHash(algorithmOf(this.#question.digest));
      if (!this.stored.isVerified) await this.#receive(start);
      const rest = (await this.#writer?.tail()) ?? new Uint8Array();
      this.#ending = await this.#finish(rest);
    } catch (error) {
      this.#ending = await this.#giveUp(error);
    } finally {
      this.#claim?.release();
      await this.#writer?.close();
      this.#recent?.close();
      this.#ringAll();
      this.#place.leave();
    }
  }

  async #receive(start: number): Promise<void> {
    const { uploadBufferBytes } = this.#host.settings;
    const wait = (milliseconds: number) => scheduler.wait(milliseconds);
    const piece = await takeBuffer(pieceBytes, uploadBufferBytes, wait);
    if (piece !== undefined) {
      this.#recent = new RecentBytes(piece, recentBytes, uploadBufferBytes, start);
      this.#writer = await this.stored.openWriter(
        () => ({ ...this.#question, ...this.#receiver.size }),
        () => this.#ringAll(),
      );
    }
    if (this.#writer === undefined) throw new GivenUp(failure("UNAVAILABLE"), "there is no memory for it");
    if (!(await this.#place.take())) throw busy(this.#question);
    await this.#receiver.receive(start);
  }

  async #finish(rest: Uint8Array): Promise<Ending> {
    const finished = await this.stored.finish(rest, this.#hash, this.#question);
    if (finished.ok) return finished;
    const { digest, upstream } = this.#question;
    const told = failure("UPSTREAM_INVALID", { upstream });
    throw new GivenUp(told, `the bytes that came for ${digest} have another digest`);
  }

  async #giveUp(error: unknown): Promise<Failure> {
    const { repository, digest, upstream } = this.#question;
    const facts = { repository, digest, upstream, error: String(error) };
    log("warn", "fetch failed", facts);
    // No part may be stored after those before it were deleted.
    await this.#writer?.close();
    this.#writer = undefined;
    // Bytes that were verified are left to the alarm: only the objects could not be reached.
    if (!this.stored.isVerified)
      await this.stored.discard().catch((failed) => {
        // The shard deletes the key in the end.
        log("warn", "fetch not discarded", { ...facts, error: String(failed) });
      });
    if (error instanceof DiskFull) return failure("DISK_FULL");
    return error instanceof GivenUp ? error.failure : failure("UNAVAILABLE", { digest });
  }

  #ringAll(): void {
    this.arrived.ring();
    this.grown.ring();
  }

  async #take(bytes: Uint8Array): Promise<void> {
    const { sizeBytes = 0 } = this.#receiver;
    const recent = this.#recent;
    if (recent === undefined) throw new TypeError("the fetch has not begun");
    this.#claim ??= await this.#host.space?.claim(Math.max(0, sizeBytes - recent.end));
    await this.#claim?.take(bytes.byteLength);
    this.#hash?.update(bytes);
    await this.#writer?.write(bytes);
    meter.add("stowage_upstream_bytes_total", [this.#question.upstream, "fetched"], bytes.byteLength);
    if (this.isFast) recent.skip(bytes.byteLength);
    else await this.#keepInMemory(recent, bytes);
    if (this.readers.isAbandoned(recent.end, this.#receiver.sizeBytes))
      throw new GivenUp(failure("UNAVAILABLE"), "nobody waits for it");
    this.#place.keep();
  }

  async #keepInMemory(recent: RecentBytes, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
      await this.#waitForLeader(recent);
      recent.append(bytes.subarray(at, at + pieceBytes));
      this.arrived.ring();
    }
  }

  /** Waits a moment until some client has read what is about to leave the memory, if it could not read that later. */
  async #waitForLeader(recent: RecentBytes): Promise<void> {
    if (this.stored.isReadable) return;
    const deadline = performance.now() + leaderMs;
    for (;;) {
      const live = this.readers.live();
      const left = deadline - performance.now();
      if (live.length === 0 || left <= 0 || live.some(({ offset }) => offset >= recent.nextFrom)) return;
      await this.readers.moved.wait(left);
    }
  }
}
