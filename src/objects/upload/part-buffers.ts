/**
 * The memory of part buffers, counted over the whole isolate, which the objects of a class share.
 *
 * An upload that has begun gets the buffer that it fills, if need be after others have ended: its bytes so far would be
 * lost if it were refused. A new one is refused while there is no room. A second buffer, to read on while the first one
 * is being stored, is there only while the budget has room.
 *
 * If an object fails, its work ends at once, and its buffers are never given back. So each has a timer, which ends with
 * the object, and a buffer counts no more once its timer has not gone off for some minutes. A client that sends nothing
 * does not stop the timer: the buffer of its upload counts.
 */
import { systemClock } from "../../clock.ts";
import { mebibyte, minute } from "../../units.ts";

/** What all buffers have at most, unless the budget is larger: an isolate has 128 MB. */
const mostBytes = 96 * mebibyte;
const waitMs = 100;
const mostWaits = 600;

/** How often the timer of a buffer goes off, and for how long it may not until the buffer is lost, in milliseconds. */
const beatMs = minute;
const lostAfterMs = 5 * minute;

/** A buffer that was taken: its size, and when its timer went off last. It does not keep the buffer in memory. */
type Taken = { sizeBytes: number; heardAtMs: number; timer: ReturnType<typeof setInterval> };

/** What counts. */
const counted = new Set<Taken>();
const takenOf = new WeakMap<Uint8Array, Taken>();
let peakBytes = 0;

/** How many bytes of part buffers the isolate's uploads hold now. */
export function partBufferBytes(): number {
  const lostAt = systemClock.now() - lostAfterMs;
  let bytes = 0;
  for (const taken of counted) {
    if (taken.heardAtMs <= lostAt) counted.delete(taken);
    else bytes += taken.sizeBytes;
  }
  return bytes;
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
  const hasRoom = () => {
    const bytes = partBufferBytes();
    return bytes === 0 || bytes + sizeBytes <= most;
  };
  for (let waits = 0; !hasRoom(); waits++) {
    if (wait === undefined || waits === mostWaits) return undefined;
    await wait(waitMs);
  }
  return take(sizeBytes);
}

/** Takes a second buffer if the budget has room for it. It must be given back. */
export function takeSpareBuffer(sizeBytes: number, budgetBytes: number): Uint8Array | undefined {
  return partBufferBytes() + sizeBytes <= budgetBytes ? take(sizeBytes) : undefined;
}

function take(sizeBytes: number): Uint8Array {
  const buffer = new Uint8Array(sizeBytes);
  const hear = () => {
    taken.heardAtMs = systemClock.now();
    // It may seem lost where the whole machine has stood still.
    counted.add(taken);
  };
  const taken: Taken = { sizeBytes, heardAtMs: systemClock.now(), timer: setInterval(hear, beatMs) };
  counted.add(taken);
  takenOf.set(buffer, taken);
  peakBytes = Math.max(peakBytes, partBufferBytes());
  return buffer;
}

/** Gives a buffer back. */
export function giveBuffer(buffer: Uint8Array): void {
  const taken = takenOf.get(buffer);
  if (taken === undefined) return;
  clearInterval(taken.timer);
  counted.delete(taken);
}
