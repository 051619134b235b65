/** Opens a blob of an upstream, and reads its bytes as they come: a client waits for them. */
import type { OpenBlob, RemoteRepository } from "../../client/repository.ts";
import type { Digest } from "../../oci/reference.ts";
import { BodyBroke } from "../../storage/streams.ts";
import { withTimeout } from "../../timeout.ts";

const bufferBytes = 1024 * 1024;

/** The least bytes that a read waits for: a read of few bytes takes as long as one of many. */
const leastBytes = 64 * 1024;

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
 * @param silenceMs how long nothing may come
 * @throws BodyBroke if the body breaks off, or nothing comes
 */
export async function* piecesAsTheyCome(
  body: ReadableStream<Uint8Array>,
  silenceMs: number,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(bufferBytes);
  let isDone = false;
  try {
    while (!isDone) {
      const read = reader.readAtLeast(leastBytes, new Uint8Array(buffer)).catch((error: unknown) => {
        throw new BodyBroke("the upstream broke off", { cause: error });
      });
      const reading = await withTimeout(read, silenceMs, undefined);
      if (reading === undefined) throw new BodyBroke("the upstream sent nothing for too long");
      isDone = reading.done;
      if (reading.value === undefined) continue;
      if (reading.value.byteLength > 0) yield reading.value;
      buffer = reading.value.buffer as ArrayBuffer;
    }
  } finally {
    if (!isDone) reader.cancel().catch(() => {});
  }
}
