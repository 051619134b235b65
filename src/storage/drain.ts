/**
 * Reading on, to nowhere, what a client sends although it was refused.
 *
 * A server that answers early and stops reading resets the connection, and the client may never see the answer. Most
 * clients stop sending once they have it; until then somebody has to read.
 */
import { readPieces } from "./read-pieces.ts";

/** How long a client may take to send the next 256 KiB, in milliseconds. */
const patienceMs = 60_000;

/** Reads a body to its end, unless somebody did, or until nothing comes any more. Never throws. */
export async function drain(body: ReadableStream | null): Promise<void> {
  if (body === null || body.locked) return;
  const { promise: late, reject } = Promise.withResolvers<never>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const inTime = <T>(read: Promise<T>) => {
    clearTimeout(timer);
    timer = setTimeout(() => reject(new Error("nothing came")), patienceMs);
    return Promise.race([read, late]);
  };
  try {
    for await (const _ of readPieces(body, inTime));
  } catch {
    // The client has gone or stalls, or the body was read before.
  } finally {
    clearTimeout(timer);
  }
}
