/**
 * The memory of part buffers, counted over the whole isolate, which the objects of a class share.
 *
 * An upload that has begun gets the buffer that it fills, if need be after others have ended: its bytes so far would be
 * lost if it were refused. A new one is refused while there is no room. A second buffer, to read on while the first one
 * is being stored, is there only while the budget has room.
 */
import { mebibyte } from "../../units.ts";

/** What all buffers have at most, unless the budget is larger: an isolate has 128 MB. */
const mostBytes = 96 * mebibyte;
const waitMs = 100;
const mostWaits = 600;

let bytesInUse = 0;
let peakBytes = 0;

/** How many bytes of part buffers the isolate's uploads hold now. */
export function partBufferBytes(): number {
  return bytesInUse;
}

/** How many the isolate's uploads have held at once, at most. */
export function partBufferPeak(): number {
  return peakBytes;
}

/**
 * Takes the buffer that an upload fills, which must be given back; `undefined` if there is no room.
 *
 * @param wait waits for these milliseconds; `undefined` for an upload that does not wait for room. One that does gives
 * up after a minute.
 */
export async function takeBuffer(
  sizeBytes: number,
  budgetBytes: number,
  wait: ((milliseconds: number) => Promise<void>) | undefined,
): Promise<Uint8Array | undefined> {
  const most = Math.max(mostBytes, budgetBytes);
  for (let waits = 0; bytesInUse > 0 && bytesInUse + sizeBytes > most; waits++) {
    if (wait === undefined || waits === mostWaits) return undefined;
    await wait(waitMs);
  }
  return take(sizeBytes);
}

/** Takes a second buffer if the budget has room for it. It must be given back. */
export function takeSpareBuffer(sizeBytes: number, budgetBytes: number): Uint8Array | undefined {
  return bytesInUse + sizeBytes <= budgetBytes ? take(sizeBytes) : undefined;
}

function take(sizeBytes: number): Uint8Array {
  bytesInUse += sizeBytes;
  peakBytes = Math.max(peakBytes, bytesInUse);
  return new Uint8Array(sizeBytes);
}

/** Gives a buffer back. */
export function giveBuffer(buffer: Uint8Array): void {
  bytesInUse -= buffer.byteLength;
}
