/**
 * The hash of a blob while its bytes pass: of the whole, and of its segments.
 *
 * The segments of a large blob are what one step of a scrub reads. A running hash cannot be stored, so without hashes of
 * their own, a step could not go on where the one before has ended. A blob of one segment needs none: its digest is the
 * hash of that.
 */
import { createHash } from "node:crypto";
import { type Digest, type DigestAlgorithm, digestOf } from "../oci/reference.ts";
import { mebibyte } from "../units.ts";

/**
 * The size of all segments of a blob but the last, in bytes. Hashes are kept of segments of this size: a release that
 * changes it must not use them.
 */
export const segmentBytes = 256 * mebibyte;

type Hash = ReturnType<typeof createHash>;

/**
 * A hash, and how many bytes it covers. It lives in memory, and is of use for an upload only while it covers every byte.
 *
 * The first segment is hashed together with the whole: most blobs have no other, and cost nothing more.
 */
export class RunningHash {
  readonly #algorithm: DigestAlgorithm;
  readonly #segmentBytes: number;
  readonly #whole: Hash;
  /** Of the segment that is under way, if it is not the first. */
  #segment: Hash | undefined;
  readonly #segments: Uint8Array[] = [];
  #bytes = 0;

  constructor(algorithm: DigestAlgorithm, sizeOfSegments = segmentBytes) {
    this.#algorithm = algorithm;
    this.#segmentBytes = sizeOfSegments;
    this.#whole = createHash(algorithm);
  }

  update(bytes: Uint8Array): void {
    for (let rest = bytes; rest.byteLength > 0; ) {
      const inSegment = this.#bytes % this.#segmentBytes;
      if (inSegment === 0 && this.#bytes > 0) this.#beginSegment();
      const piece = rest.subarray(0, this.#segmentBytes - inSegment);
      this.#whole.update(piece);
      this.#segment?.update(piece);
      this.#bytes += piece.byteLength;
      rest = rest.subarray(piece.byteLength);
    }
  }

  #beginSegment(): void {
    this.#segments.push((this.#segment ?? this.#whole.copy()).digest());
    this.#segment = createHash(this.#algorithm);
  }

  /** Whether this is the hash of the first `offset` bytes. */
  covers(offset: number): boolean {
    return this.#bytes === offset;
  }

  /** Whether it can tell about digests of this algorithm. */
  isOf(algorithm: DigestAlgorithm): boolean {
    return this.#algorithm === algorithm;
  }

  /**
   * The digest, and the hashes of the segments in their order, one after the other, if there are several. The hash cannot
   * grow any more afterwards.
   */
  finish(): { digest: Digest; segments: Uint8Array | undefined } {
    const digest = digestOf(this.#algorithm, this.#whole.digest("hex"));
    if (this.#segment === undefined) return { digest, segments: undefined };
    return { digest, segments: new Uint8Array(Buffer.concat([...this.#segments, this.#segment.digest()])) };
  }
}
