/** Opens a blob of an upstream, and reads its bytes as they come: a client waits for them. */
import type { OpenBlob, RemoteRepository } from "../../client/repository.ts";
import type { Digest } from "../../oci/reference.ts";
import { BodyBroke } from "../../storage/streams.ts";
import { withTimeout } from "../../timeout.ts";
import { kibibyte, mebibyte } from "../../units.ts";

const bufferBytes = mebibyte;

/**
 * The least bytes that a read waits for. A read of few bytes takes as long as one of many, so of a fast upstream more are
 * waited for: twice as many whenever a read took less than {@link quickMs}.
 */
const leastBytes = 64 * kibibyte;
const mostLeastBytes = 512 * kibibyte;
const quickMs = 10;

/**
 * Opens a blob from an offset on; `undefined` if the upstream does not have it. `skip`: how many bytes come before the
 * offset, as the upstream has no ranges.
 */
export async function openFrom(
  remote: RemoteRepository,
  digest: Digest,
  offset: number,
): Promise<(OpenBlob & { skip: number }) | undefined> {
  if (offset > 0) {
    const ranged = await remote.openBlob(digest, { range: { offset } }).catch(() => undefined);
    if (ranged !== undefined) return { ...ranged, skip: 0 };
  }
  const whole = await remote.openBlob(digest);
  return whole && { ...whole, skip: offset };
}

/**
 * The pieces of a body, each valid until the next one is requested. When the caller stops, the body is cancelled.
 *
 * @param silenceMs how long the least bytes of a read, or the rest, may take
 * @throws BodyBroke if the body breaks off, or less comes in that time
 */
export async function* piecesAsTheyCome(
  body: ReadableStream<Uint8Array>,
  silenceMs: number,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(bufferBytes);
  let waitedFor = leastBytes;
  let isDone = false;
  try {
    while (!isDone) {
      const begunMs = performance.now();
      const read = reader.readAtLeast(waitedFor, new Uint8Array(buffer)).catch((error: unknown) => {
        throw new BodyBroke("the upstream broke off", { cause: error });
      });
      const reading = await withTimeout(read, silenceMs, undefined);
      if (reading === undefined) throw new BodyBroke("the upstream sent nothing for too long");
      isDone = reading.done;
      const isQuick = performance.now() - begunMs < quickMs;
      waitedFor = isQuick ? Math.min(2 * waitedFor, mostLeastBytes) : leastBytes;
      if (reading.value === undefined) continue;
      if (reading.value.byteLength > 0) yield reading.value;
      buffer = reading.value.buffer as ArrayBuffer;
    }
  } finally {
    if (!isDone) reader.cancel().catch(() => {});
  }
}
