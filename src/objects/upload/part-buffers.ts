/**
 * The memory that uploads use: part buffers, counted over the whole isolate, which the objects of a class share.
 *
 * An upload always gets the buffer that it fills. It gets a second one, to read on while the first is being stored,
 * only while the budget has room.
 */
let bytesInUse = 0;

/** How many bytes of part buffers the isolate's uploads hold now. */
export function partBufferBytes(): number {
  return bytesInUse;
}

/** Takes a buffer, whatever the budget. It must be given back. */
export function takeBuffer(sizeBytes: number): Uint8Array {
  bytesInUse += sizeBytes;
  return new Uint8Array(sizeBytes);
}

/** Takes a buffer if the budget has room for it. It must be given back. */
export function tryTakeBuffer(sizeBytes: number, budgetBytes: number): Uint8Array | undefined {
  return bytesInUse + sizeBytes <= budgetBytes ? takeBuffer(sizeBytes) : undefined;
}

/** Gives a buffer back. */
export function giveBuffer(buffer: Uint8Array): void {
  bytesInUse -= buffer.byteLength;
}
