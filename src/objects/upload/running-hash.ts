/**
 * The hash of an upload while it grows. It lives in memory, and is of use only while it covers every byte.
 */
import { createHash } from "node:crypto";
import { type Digest, type DigestAlgorithm, digestOf } from "../../oci/reference.ts";

/** A hash, and how many bytes it covers. */
export class RunningHash {
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: ReturnType<typeof createHash>;
  #bytes = 0;

  constructor(algorithm: DigestAlgorithm) {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#bytes += bytes.byteLength;
  }

  /** Whether this is the hash of the first `offset` bytes. */
  covers(offset: number): boolean {
    return this.#bytes === offset;
  }

  /** Whether it can tell about digests of this algorithm. */
  isOf(algorithm: DigestAlgorithm): boolean {
    return this.#algorithm === algorithm;
  }

  /** The digest. The hash cannot grow any more afterwards. */
  finish(): Digest {
    return digestOf(this.#algorithm, this.#hash.digest("hex"));
  }
}
