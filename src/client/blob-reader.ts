/** A blob of a repository as one that is pushed elsewhere: read by ranges, and again where a connection breaks. */
import type { Digest } from "../oci/reference.ts";
import { RegistryError } from "./errors.ts";
import { piecesOf, reasonOf } from "./exchange.ts";
import type { BlobSource } from "./push-blob.ts";
import type { RemoteRepository } from "./repository.ts";
import { defaultPolicy, pauseAfter, systemTiming, type Timing } from "./retry.ts";

/**
 * Opens a blob of a repository. Reading it rejects with a {@link RegistryError}; one of the kind `broken`, if its bytes
 * break off again and again.
 *
 * @param size the size in its descriptor
 */
export function blobReader(
  repository: RemoteRepository,
  digest: Digest,
  size: number,
  { signal, timing = systemTiming }: { signal?: AbortSignal | undefined; timing?: Timing } = {},
): BlobSource {
  let pieces: AsyncGenerator<Uint8Array, undefined> | undefined;
  let position = 0;
  let rest: Uint8Array = new Uint8Array();

  const close = async () => {
    const closed = pieces;
    pieces = undefined;
    rest = new Uint8Array();
    await closed?.return(undefined);
  };

  const next = async (offset: number): Promise<Uint8Array | undefined> => {
    if (pieces === undefined || position !== offset) {
      await close();
      // Some registries, such as crane's, understand no range without an end.
      const range = { offset, ...(offset === 0 ? {} : { length: size - offset }) };
      const opened = await repository.openBlob(digest, { range, signal });
      if (opened === undefined)
        throw new RegistryError("refused", `blob ${digest}: it is not there`, { status: 404 });
      pieces = piecesOf(opened.body);
      position = offset;
    }
    if (rest.byteLength > 0) return rest;
    return (await pieces.next()).value;
  };

  return {
    size,
    close,
    read: async (buffer, offset) => {
      let length = 0;
      for (let failures = 0; length < buffer.byteLength; ) {
        try {
          const piece = await next(offset + length);
          if (piece === undefined) return length;
          const taken = Math.min(piece.byteLength, buffer.byteLength - length);
          buffer.set(piece.subarray(0, taken), length);
          rest = piece.subarray(taken);
          length += taken;
          position += taken;
          failures = 0;
        } catch (error) {
          await close();
          signal?.throwIfAborted();
          // A refusal by the registry is final; the transport has already repeated the request if that helps.
          if (error instanceof RegistryError) throw error;
          if (++failures >= defaultPolicy.attempts) {
            throw new RegistryError("broken", `blob ${digest}: it broke off: ${reasonOf(error)}`, {}, error);
          }
          await timing.sleep(pauseAfter(failures, defaultPolicy, timing) ?? 0, signal);
        }
      }
      return length;
    },
  };
}
