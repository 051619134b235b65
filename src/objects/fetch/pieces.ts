/** Reads the body of an upstream's answer as its bytes come: a client waits for them. */
import { BodyBroke } from "../../storage/streams.ts";
import { withTimeout } from "../../timeout.ts";

const bufferBytes = 256 * 1024;

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
      const read = reader.read(new Uint8Array(buffer)).catch((error: unknown) => {
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
