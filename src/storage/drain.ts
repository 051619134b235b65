/**
 * Reading on, to nowhere, what a client sends although it was refused.
 *
 * A server that answers early and stops reading resets the connection, and the client may never see the answer. Most
 * clients stop sending once they have it; until then somebody has to read.
 */
import { readPieces } from "./read-pieces.ts";

/** Reads a body to its end, unless somebody did. Never throws. */
export async function drain(body: ReadableStream | null): Promise<void> {
  if (body === null || body.locked) return;
  try {
    for await (const _ of readPieces(body));
  } catch {
    // The client has gone, or the body was read before.
  }
}
