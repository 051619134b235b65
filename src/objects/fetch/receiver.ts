/** Receives a blob from its upstream, over as many connections as it takes. */
import { type Failure, failure } from "../../oci/errors.ts";
import { BodyBroke } from "../../storage/streams.ts";
import { second } from "../../units.ts";
import { askUpstream, failureOf, type NoAnswer } from "./ask.ts";
import { GivenUp } from "./given-up.ts";
import type { FetchHost } from "./host.ts";
import { openFrom, piecesAsTheyCome } from "./pieces.ts";
import type { StoredQuestion } from "./store.ts";

/** How often a broken connection is opened again, in all, and in a row without a byte between. */
const mostAttempts = 20;
const mostIdleAttempts = 3;
const pauseMs = second;

/** Where the bytes go. */
export interface Receiving {
  /** The upstream has begun to answer, and the size is known if it ever will be. */
  onBegin(): void;
  /** Takes bytes, which may be changed once this has resolved. What it throws ends the receiving. */
  take(bytes: Uint8Array): Promise<void>;
}

/** The bytes of one blob as they come. */
export class Receiver {
  readonly #host: FetchHost;
  readonly #question: StoredQuestion;
  readonly #receiving: Receiving;
  #sizeBytes: number | undefined;
  #isAnswered = false;
  #receivedBytes = 0;
  #sinceMs = 0;

  constructor(host: FetchHost, question: StoredQuestion, receiving: Receiving) {
    this.#host = host;
    this.#question = question;
    this.#receiving = receiving;
    this.#sizeBytes = question.sizeBytes;
  }

  /** How many bytes come in a second; 0 where none have come. */
  get bytesPerSecond(): number {
    return this.#receivedBytes === 0
      ? 0
      : (this.#receivedBytes * second) / (performance.now() - this.#sinceMs);
  }

  /** The size of the blob, as far as a manifest or the upstream says it. */
  get sizeBytes(): number | undefined {
    return this.#sizeBytes;
  }

  /** The same as a field of a question. */
  get size(): Pick<StoredQuestion, "sizeBytes"> {
    return this.#sizeBytes === undefined ? {} : { sizeBytes: this.#sizeBytes };
  }

  /** How long the rest will take at the speed so far, in milliseconds; `undefined` if that cannot be told. */
  msLeft(offset: number): number | undefined {
    if (this.#sizeBytes === undefined || this.#receivedBytes === 0) return undefined;
    return ((this.#sizeBytes - offset) * second) / this.bytesPerSecond;
  }

  /**
   * Receives all bytes from an offset on.
   *
   * @throws GivenUp if they do not come, or are too few or too many
   */
  async receive(start: number): Promise<void> {
    this.#sinceMs = performance.now();
    let idle = 0;
    for (let attempts = 1; ; attempts++) {
      const before = this.#receivedBytes;
      const no = await this.#receiveOnce(start + before);
      if (no === undefined) return;
      idle = this.#receivedBytes > before ? 0 : idle + 1;
      const mayHelp = no.outcome === "down" || no.outcome === "limited";
      if (!mayHelp || !this.#isAnswered || attempts >= mostAttempts || idle >= mostIdleAttempts) {
        const absent = failure("BLOB_UNKNOWN", { digest: this.#question.digest });
        throw new GivenUp(failureOf(no, this.#question, absent), no.detail);
      }
      await scheduler.wait(Math.min(no.retryAfterMs ?? pauseMs * idle, 10 * pauseMs));
    }
  }

  /** Receives bytes over one connection; returns why there are no more, `undefined` if there are all. */
  async #receiveOnce(offset: number): Promise<NoAnswer | undefined> {
    const { digest, name } = this.#question;
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
    this.#isAnswered = true;
    this.#receiving.onBegin();
    let end = offset;
    let skipped = 0;
    try {
      for await (const piece of piecesAsTheyCome(body, this.#host.settings.upstreamTimeoutMs)) {
        const unwanted = Math.min(skip - skipped, piece.byteLength);
        skipped += unwanted;
        const wanted = piece.subarray(unwanted);
        end += wanted.byteLength;
        if (this.#sizeBytes !== undefined && end > this.#sizeBytes)
          throw new GivenUp(this.#invalid(), "the upstream sent too many bytes");
        await this.#receiving.take(wanted);
        this.#receivedBytes += wanted.byteLength;
      }
    } catch (error) {
      if (!(error instanceof BodyBroke)) throw error;
      return { ok: false, outcome: "down", detail: error.message };
    }
    if (this.#sizeBytes === undefined || end === this.#sizeBytes) return undefined;
    return { ok: false, outcome: "down", detail: "the upstream sent too few bytes" };
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
}
