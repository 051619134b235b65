/**
 * How settings are written: durations, sizes, numbers and words, each with what it accepts in words for people.
 */

/** How one is written. `whyNot`: what is wrong with a text that does not parse, where `expects` would not help to find it. */
export type Variable<T> = {
  default: string;
  parse: (text: string) => T | undefined;
  expects: string;
  whyNot?: (text: string) => string | undefined;
};

/** Times in milliseconds, and sizes in bytes. */
export const second = 1000;
export const hour = 3600 * second;
export const day = 24 * hour;
export const mebibyte = 1024 * 1024;

const durationUnits: Record<string, number> = { ms: 1, s: second, m: 60 * second, h: hour, d: day };

/** A duration, in milliseconds. */
export function duration(fallback: string, minMs: number, maxMs: number): Variable<number> {
  return {
    default: fallback,
    expects: `a duration such as 90s, 15m, 24h or 7d, from ${minMs} ms to ${maxMs / second} s`,
    parse: (text) => {
      const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
      const milliseconds = Number(match?.[1]) * (durationUnits[match?.[2] ?? ""] ?? Number.NaN);
      return milliseconds >= minMs && milliseconds <= maxMs ? milliseconds : undefined;
    },
  };
}

/** A duration, or `never`. */
export function durationOrNever(fallback: string, minMs: number, maxMs: number): Variable<number | "never"> {
  const { parse, expects } = duration(fallback, minMs, maxMs);
  return {
    default: fallback,
    expects: `never, or ${expects}`,
    parse: (text) => (text === "never" ? "never" : parse(text)),
  };
}

/** A whole number, in decimal digits. */
export function wholeNumber(fallback: string, min: number, max: number): Variable<number> {
  return {
    default: fallback,
    expects: `a whole number from ${min} to ${max}`,
    parse: (text) =>
      /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
  };
}

const sizeUnits: Record<string, number> = { "": 1, KiB: 1024, MiB: mebibyte, GiB: 1024 * mebibyte };

/** A size, in bytes. */
export function size(fallback: string, minBytes: number, maxBytes: number): Variable<number> {
  return {
    default: fallback,
    expects: `a size such as 5242880, 512KiB or 5MiB, from ${minBytes} to ${maxBytes} bytes`,
    parse: (text) => {
      const match = /^(\d{1,12})(KiB|MiB|GiB|)$/.exec(text);
      const bytes = Number(match?.[1]) * (sizeUnits[match?.[2] ?? ""] ?? Number.NaN);
      return bytes >= minBytes && bytes <= maxBytes ? bytes : undefined;
    },
  };
}

/** A size, or `auto`, which is the default: whoever uses it knows what is right. */
export function sizeOrAuto(minBytes: number, maxBytes: number): Variable<number | "auto"> {
  const { parse, expects } = size("", minBytes, maxBytes);
  return {
    default: "auto",
    expects: `auto, or ${expects}`,
    parse: (text) => (text === "auto" ? "auto" : parse(text)),
  };
}

/** One of a few words, of which the first is the default. */
export function oneOf<const T extends string>(fallback: T, ...others: T[]): Variable<T> {
  const words: readonly string[] = [fallback, ...others];
  return {
    default: fallback,
    expects: `one of ${words.join(", ")}`,
    parse: (text) => (words.includes(text) ? (text as T) : undefined),
  };
}

/** Any text; the empty one counts as not set. */
export const text: Variable<string> = { default: "", expects: "a text", parse: (value) => value };
