/**
 * A Bloom filter of names. Source: Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970; the
 * positions come from two halves of one hash (Kirsch and Mitzenmacher, 2006).
 */

const bits = 1 << 20;
const positions = 4;

/** The seed of FNV-1a. */
const fnvOffset = 0x811c9dc5;

/**
 * A set of names in 128 KiB, however many they are. It has no false negatives. With 100,000 names, one in a hundred
 * other names is a false positive; with millions, every one is.
 */
export class NameFilter {
  readonly bytes: Uint8Array<ArrayBuffer>;

  /** An empty filter, or one with these bytes. */
  constructor(bytes = new Uint8Array(bits / 8)) {
    this.bytes = bytes;
  }

  add(name: string): void {
    for (const [index, mask] of bitsOf(name)) this.bytes[index] = (this.bytes[index] ?? 0) | mask;
  }

  /** Whether the name may have been added. */
  has(name: string): boolean {
    return bitsOf(name).every(([index, mask]) => ((this.bytes[index] ?? 0) & mask) !== 0);
  }
}

function bitsOf(name: string): [index: number, mask: number][] {
  const first = hashName(name);
  const step = hash(name, 0x1b873593) | 1;
  return Array.from({ length: positions }, (_, number) => {
    const bit = (first + number * step) & (bits - 1);
    return [bit >> 3, 1 << (bit & 7)];
  });
}

/** A hash of a name, which never changes, from 0 to 2³² - 1. */
export function hashName(name: string): number {
  return hash(name, fnvOffset);
}

/** FNV-1a of 32 bits with the finalizer of MurmurHash3. */
function hash(text: string, seed: number): number {
  let state = seed;
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
