/**
 * Reads the bodies of requests fast, into one large buffer that is reused. Default reads return pieces of 4 KiB and are
 * more than ten times slower.
 */
import { withTimeout } from "../timeout.ts";

/** The body ended before its length, or its connection broke. */
export class BodyBroke extends Error {
  override name = "BodyBroke";
}

/** The size of the buffer: small at first, and four times as large whenever it was filled. */
const firstBytes = 64 * 1024;
const pieceBytes = 1024 * 1024;

/** The least bytes that a read waits for. If the connection breaks, up to this many bytes are lost. */
const leastBytes = 256 * 1024;

/** The bytes that were read, and whether there may be more. */
type Reading = { value?: Uint8Array; done: boolean };

/**
 * The pieces of a body, each of at most 1 MiB. A piece is valid until the next one is requested. `wait` is given each
 * read as it begins, and may abandon it by throwing. A caller that stops between two reads leaves the rest of the body
 * to be drained by others, as the client must be read from until it has seen the answer.
 *
 * @throws BodyBroke if the body breaks off.
 */
export async function* readPieces(
  body: ReadableStream<Uint8Array>,
  wait: (read: Promise<Reading>) => Promise<Reading> = (read) => read,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(firstBytes);
  let isDone = false;
  let isReading = false;
  try {
    while (!isDone) {
      isReading = true;
      const { value, done } = await wait(readOrBreak(reader, buffer));
      isReading = false;
      isDone = done;
      if (value === undefined) continue;
      if (value.byteLength > 0) yield value;
      const isFilled = value.byteLength === value.buffer.byteLength && value.byteLength < pieceBytes;
      buffer = isFilled ? new ArrayBuffer(4 * value.byteLength) : (value.buffer as ArrayBuffer);
    }
  } finally {
    if (isReading) reader.cancel().catch(() => {});
    else reader.releaseLock();
  }
}

async function readOrBreak(reader: ReadableStreamBYOBReader, buffer: ArrayBuffer): Promise<Reading> {
  try {
    return (await reader.readAtLeast(
      Math.min(leastBytes, buffer.byteLength),
      new Uint8Array(buffer),
    )) as Reading;
  } catch (error) {
    throw new BodyBroke("the body broke off", { cause: error });
  }
}

/** How long a client may take to send the next 256 KiB, in milliseconds. */
const drainTimeoutMs = 60_000;

/**
 * Reads the rest of a refused body and discards it, until it ends or stalls. Does nothing if the body has another
 * reader. Never throws.
 *
 * If a server answers early and stops reading, the connection is reset, and the client may never see the answer. Most
 * clients stop sending once they have the answer; until then the body must be read.
 */
export async function drain(body: ReadableStream | null): Promise<void> {
  if (body === null || body.locked) return;
  const inTime = async (read: Promise<Reading>) => {
    const reading = await withTimeout(read, drainTimeoutMs, undefined);
    if (reading === undefined) throw new BodyBroke("nothing came");
    return reading;
  };
  try {
    for await (const _ of readPieces(body, inTime));
  } catch {
    // The client has disconnected or stalls, or the body was read before.
  }
}
