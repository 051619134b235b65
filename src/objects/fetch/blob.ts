/**
 * A blob that is fetched from an upstream: once, whoever waits for it. Its bytes are hashed and stored as they come, and
 * clients read them meanwhile; the last ones are let go only when all of them have the right digest.
 *
 * The upstream is not slowed down to the pace of slow clients. It waits a moment for the fastest one, so that not all
 * have to read what was stored.
 */
import { log } from "../../log.ts";
import { meter } from "../../metrics/meter.ts";
import { type Failure, failure } from "../../oci/errors.ts";
import { algorithmOf } from "../../oci/reference.ts";
import { type Claim, DiskFull } from "../../storage/disk-space.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { BodyBroke } from "../../storage/streams.ts";
import { minute, second } from "../../units.ts";
import { RunningHash } from "../running-hash.ts";
import { takeBuffer } from "../upload/part-buffers.ts";
import type { PartStreamer } from "../upload/part-streamer.ts";
import { askUpstream, failureOf, type NoAnswer } from "./ask.ts";
import { Bell } from "./bell.ts";
import { GivenUp } from "./given-up.ts";
import type { FetchHost } from "./host.ts";
import { openFrom, piecesAsTheyCome } from "./pieces.ts";
import { FetchPlace } from "./place.ts";
import type { StoredQuestion } from "./store.ts";
import { StoredBlob } from "./stored-blob.ts";
import { FetchWindow } from "./window.ts";

/** How many of the last bytes are held back until all are verified. */
const heldBackBytes = 64 * 1024;

/** How often a broken connection is opened again, in all, and in a row without a byte between. */
const mostAttempts = 20;
const mostIdleAttempts = 3;
const pauseMs = second;

/**
 * How long bytes stay in memory for the fastest client, at most: less if what is stored can be read before the end.
 */
const leaderMs = 100;
const streamedLeaderMs = 5;

/** How long a fetch goes on that nobody waits for, if it is not past half. */
const aloneMs = minute;

/** A client of a fetch: the offset of the next byte that it needs; `isLive`: it reads along. */
export type Reader = { offset: number; isLive: boolean };

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
  /** Clients that wait for it. */
  readonly readers = new Set<Reader>();
  readonly stored: StoredBlob;
  readonly #host: FetchHost;
  readonly #question: StoredQuestion;
  readonly #place: FetchPlace;
  readonly #moved = new Bell();
  #window: FetchWindow | undefined;
  /** What stores bytes as they come, if the bucket takes them so. */
  #streamer: PartStreamer | undefined;
  #hash: RunningHash | undefined;
  #claim: Claim | undefined;
  #storing: Promise<unknown> | undefined;
  #storeFailure: unknown;
  #sizeBytes: number | undefined;
  #hasBegun = false;
  #aloneSinceMs: number;
  #ending: Ending | undefined;

  constructor(host: FetchHost, id: string, question: StoredQuestion) {
    this.#host = host;
    this.#question = question;
    this.#sizeBytes = question.sizeBytes;
    this.#aloneSinceMs = host.clock.now();
    this.#place = new FetchPlace(host, question.upstream, id);
    this.stored = new StoredBlob(host, id, question.digest);
  }

  /** How it ended; `undefined` while it is under way. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** The size of the blob, as far as it is known. */
  get sizeBytes(): number | undefined {
    return this.#ending?.ok === true ? this.#ending.location.sizeBytes : this.#sizeBytes;
  }

  /** Up to which offset bytes may be given to clients. */
  get released(): number {
    return Math.max(0, (this.#window?.end ?? 0) - heldBackBytes);
  }

  /** The first offset whose bytes are in memory; those before are stored. */
  get inMemoryFrom(): number {
    return this.#window?.from ?? 0;
  }

  /** A copy of released bytes from an offset on; `undefined` if they are not in memory. */
  read(offset: number): Uint8Array | undefined {
    return this.#window?.read(offset, this.released);
  }

  /** The clients that read along. */
  liveReaders(): Reader[] {
    return [...this.readers].filter(({ isLive }) => isLive);
  }

  /** To be called when a reader has moved on. */
  noteMoved(): void {
    this.#moved.ring();
  }

  /** To be called when a reader has gone. */
  noteGone(reader: Reader): void {
    this.readers.delete(reader);
    this.#aloneSinceMs = this.#host.clock.now();
    this.#moved.ring();
  }

  /** Fetches the blob. Never throws: how it ended is in {@link ending}. */
  async run(): Promise<void> {
    try {
      const start = await this.stored.open(this.#question);
      const { settings } = this.#host;
      if (start === 0) this.#hash = new RunningHash(algorithmOf(this.#question.digest));
      this.#streamer = this.stored.openStreamer(this.#question, () => this.arrived.ring());
      const wait = (milliseconds: number) => scheduler.wait(milliseconds);
      const part = await takeBuffer(settings.uploadPartBytes, settings.uploadBufferBytes, wait);
      if (part === undefined) throw new GivenUp(failure("UNAVAILABLE"), "there is no memory for it");
      this.#window = new FetchWindow(part, settings.uploadBufferBytes, start);
      if (!this.stored.isVerified) {
        if (!(await this.#place.take())) throw busy(this.#question);
        await this.#receive();
      }
      this.#ending = await this.#finish(this.#window);
    } catch (error) {
      this.#ending = await this.#giveUp(error);
    } finally {
      this.#claim?.release();
      await this.#streamer?.close();
      this.#window?.close();
      this.arrived.ring();
      this.#place.leave();
    }
  }

  async #finish(window: FetchWindow): Promise<Ending> {
    await this.#storedAll();
    const rest = (await this.#streamer?.tail()) ?? window.part;
    const finished = await this.stored.finish(rest, this.#hash, this.#question);
    if (finished.ok) return finished;
    const { digest } = this.#question;
    throw new GivenUp(this.#invalid(), `the bytes that came for ${digest} have another digest`);
  }

  async #giveUp(error: unknown): Promise<Failure> {
    const { repository, digest, upstream } = this.#question;
    const facts = { repository, digest, upstream, error: String(error) };
    log("warn", "fetch failed", facts);
    await this.#storing;
    // Bytes that were verified are left to the alarm: only the objects could not be reached.
    if (!this.stored.isVerified)
      await this.stored.discard().catch((failed) => {
        // The shard deletes the key in the end.
        log("warn", "fetch not discarded", { ...facts, error: String(failed) });
      });
    if (error instanceof DiskFull) return failure("DISK_FULL");
    return error instanceof GivenUp ? error.failure : failure("UNAVAILABLE", { digest });
  }

  // ── Receiving ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Receives all bytes, over as many connections as it takes. */
  async #receive(): Promise<void> {
    let idle = 0;
    for (let attempts = 1; ; attempts++) {
      const before = this.#end;
      const no = await this.#receiveOnce();
      if (no === undefined) return;
      idle = this.#end > before ? 0 : idle + 1;
      const mayHelp = no.outcome === "down" || no.outcome === "limited";
      const isFirst = !this.#hasBegun;
      if (!mayHelp || isFirst || attempts >= mostAttempts || idle >= mostIdleAttempts) {
        const absent = failure("BLOB_UNKNOWN", { digest: this.#question.digest });
        throw new GivenUp(failureOf(no, this.#question, absent), no.detail);
      }
      await scheduler.wait(Math.min(no.retryAfterMs ?? pauseMs * idle, 10 * pauseMs));
    }
  }

  /** Receives bytes over one connection; returns why there are no more, `undefined` if there are all. */
  async #receiveOnce(): Promise<NoAnswer | undefined> {
    const { digest, name } = this.#question;
    const offset = this.#end;
    if (this.#sizeBytes === offset && offset > 0) return undefined;
    const asked = await askUpstream(this.#host, this.#question, `${name}@${digest}`, "blob", (remote) =>
      openFrom(remote, digest, offset),
    );
    if (!asked.ok) return asked;
    const { body, size, skip } = asked.value;
    try {
      this.#learnSize(size === undefined ? undefined : size + offset - skip);
    } catch (error) {
      await body.cancel().catch(() => {});
      throw error;
    }
    this.#hasBegun = true;
    this.arrived.ring();
    let skipped = 0;
    try {
      for await (const piece of piecesAsTheyCome(body, this.#host.settings.upstreamTimeoutMs)) {
        const unwanted = Math.min(skip - skipped, piece.byteLength);
        skipped += unwanted;
        await this.#take(piece.subarray(unwanted));
      }
    } catch (error) {
      if (!(error instanceof BodyBroke)) throw error;
      return { ok: false, outcome: "down", detail: error.message };
    }
    if (this.#sizeBytes === undefined || this.#end === this.#sizeBytes) return undefined;
    return { ok: false, outcome: "down", detail: "the upstream sent too few bytes" };
  }

  get #end(): number {
    return this.#window?.end ?? 0;
  }

  #learnSize(sizeBytes: number | undefined): void {
    if (sizeBytes === undefined) return;
    if (this.#sizeBytes !== undefined && this.#sizeBytes !== sizeBytes)
      throw new GivenUp(
        this.#invalid(),
        `the upstream announces ${sizeBytes} bytes instead of ${this.#sizeBytes}`,
      );
    this.#sizeBytes = sizeBytes;
  }

  #invalid(): Failure {
    return failure("UPSTREAM_INVALID", { upstream: this.#question.upstream });
  }

  async #take(piece: Uint8Array): Promise<void> {
    const window = this.#window;
    if (window === undefined) throw new TypeError("the fetch has not begun");
    if (this.#sizeBytes !== undefined && window.end + piece.byteLength > this.#sizeBytes)
      throw new GivenUp(this.#invalid(), "the upstream sent too many bytes");
    this.#claim ??= await this.#host.space?.claim((this.#sizeBytes ?? 0) - window.end);
    await this.#claim?.take(piece.byteLength);
    this.#hash?.update(piece);
    await this.#streamer?.write(piece);
    meter.add("stowage_upstream_bytes_total", [this.#question.upstream, "fetched"], piece.byteLength);
    for (let rest = piece; rest.byteLength > 0; ) {
      if (window.isFull) await this.#nextPart(window);
      rest = rest.subarray(window.append(rest));
      this.arrived.ring();
    }
    this.#endIfAlone(window.end);
    this.#place.keep();
  }

  /** Stores the full part, unless its bytes were stored as they came, while the next one fills if there is memory. */
  async #nextPart(window: FetchWindow): Promise<void> {
    await this.#storedAll();
    await this.#waitForLeader(window.start);
    if (this.#streamer !== undefined) {
      if (!window.tryNext()) window.restart();
      return;
    }
    const full = window.part;
    // A bucket in the same process always has work ready, and would keep the runtime from every other request.
    await scheduler.wait(1);
    this.#storing = this.stored
      .addPart(full, this.#question)
      .catch((error) => {
        this.#storeFailure = error;
      })
      .finally(() => this.arrived.ring());
    if (window.tryNext()) return;
    await this.#storedAll();
    window.restart();
  }

  async #storedAll(): Promise<void> {
    await this.#storing;
    this.#storing = undefined;
    if (this.#storeFailure !== undefined) throw this.#storeFailure;
  }

  /** Waits a moment until some client has read what is about to leave the memory. */
  async #waitForLeader(until: number): Promise<void> {
    const deadline = performance.now() + (this.#streamer === undefined ? leaderMs : streamedLeaderMs);
    for (;;) {
      const live = this.liveReaders();
      const left = deadline - performance.now();
      if (live.length === 0 || left <= 0 || live.some(({ offset }) => offset >= until)) return;
      await this.#moved.wait(left);
    }
  }

  #endIfAlone(end: number): void {
    if (this.readers.size > 0) return;
    const isPastHalf = this.#sizeBytes !== undefined && end >= this.#sizeBytes / 2;
    if (!isPastHalf && this.#host.clock.now() - this.#aloneSinceMs > aloneMs)
      throw new GivenUp(failure("UNAVAILABLE"), "nobody waits for it");
  }
}
