/** Reading a body whole, within a bound. */

/** The body, or why it could not be had. */
export type WholeBody = { ok: true; bytes: Uint8Array } | { ok: false; reason: "too large" | "broken off" };

/**
 * Reads at most `maxBytes` into memory; of a body announced or found to be larger, no more than that is read.
 * `length` is what `Content-Length` says, if anything.
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  length: number | undefined,
  maxBytes: number,
): Promise<WholeBody> {
  if (length !== undefined && length > maxBytes) return { ok: false, reason: "too large" };
  const pieces: Uint8Array[] = [];
  let received = 0;
  try {
    for await (const piece of body ?? []) {
      received += piece.byteLength;
      if (received > maxBytes) return { ok: false, reason: "too large" };
      pieces.push(piece);
    }
  } catch {
    return { ok: false, reason: "broken off" };
  }
  const bytes = new Uint8Array(received);
  let filled = 0;
  for (const piece of pieces) {
    bytes.set(piece, filled);
    filled += piece.byteLength;
  }
  return { ok: true, bytes };
}
