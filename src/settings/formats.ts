/**
 * How settings are written: durations, sizes, numbers, words and texts. Each says what it accepts.
 */
import type { Rejection, Result } from "../oci/errors.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "../units.ts";

/** The value of a text, or that it is not accepted. `reason`: what is wrong, where {@link SettingType.expects} would not help. */
export type Parsed<T> = Result<{ value: T }, Rejection<string | undefined>>;

/** How a setting is written. */
export type SettingType<T> = {
  parse: (text: string) => Parsed<T>;
  /** What it accepts, as an error says it. */
  expects: string;
  /** What it accepts, as a cell of a Markdown table. */
  range: string;
};

/** A duration, in milliseconds. */
export function duration(minMs: number, maxMs: number): SettingType<number> {
  const range = `${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return {
    parse: within(minMs, maxMs, parseDuration),
    expects: `a duration such as 90s, 15m, 24h or 7d, from ${range}`,
    range,
  };
}

/** A size, in bytes. */
export function size(minBytes: number, maxBytes: number): SettingType<number> {
  const range = `${formatSize(minBytes)} to ${formatSize(maxBytes)}`;
  return {
    parse: within(minBytes, maxBytes, parseSize),
    expects: `a size such as 5242880, 512KiB or 5MiB, from ${range}`,
    range,
  };
}

/** A whole number, in decimal digits, of things of which each counts as `unit`. */
export function wholeNumber(min: number, max: number, unit = 1): SettingType<number> {
  const digits = (text: string) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);
  const parse = within(min, max, digits);
  return {
    parse: (text) => {
      const parsed = parse(text);
      return parsed.ok ? accept(parsed.value * unit) : parsed;
    },
    expects: `a whole number from ${min} to ${max}`,
    range: `${min} to ${max}`,
  };
}

/** What another type accepts, or a word, which stands for `undefined`. */
export function orWord<T>(
  word: string,
  { parse, expects, range }: SettingType<T>,
): SettingType<T | undefined> {
  return {
    parse: (text) => (text === word ? accept(undefined) : parse(text)),
    expects: `${word}, or ${expects}`,
    range: `\`${word}\`, or ${range}`,
  };
}

/** What another type accepts, or nothing, which is `undefined`. */
export function optional<T>({ parse, ...words }: SettingType<T>): SettingType<T | undefined> {
  return { ...words, parse: (text) => (text === "" ? accept(undefined) : parse(text)) };
}

/** One of a few words. */
export function oneOf<const T extends string>(...words: T[]): SettingType<T> {
  return {
    parse: (text) => {
      const word = words.find((each) => each === text);
      return word === undefined ? refused : accept(word);
    },
    expects: `one of ${words.join(", ")}`,
    range: words.map((word) => `\`${word}\``).join(", "),
  };
}

/** `yes` or `no`. */
export const yesOrNo: SettingType<boolean> = {
  parse: (text) => (text === "yes" || text === "no" ? accept(text === "yes") : refused),
  expects: "one of yes, no",
  range: "`yes`, `no`",
};

/** Any text. */
export const text: SettingType<string> = { parse: accept, expects: "a text", range: "" };

/** A text of at least this length, in characters. What is wrong with it is said without it. */
export function secretText(minLength: number): SettingType<string> {
  return {
    parse: (value) =>
      value.length >= minLength
        ? accept(value)
        : { ok: false, reason: `it has ${value.length} characters, and must have at least ${minLength}` },
    expects: `a text of at least ${minLength} characters`,
    range: `${minLength} characters or more`,
  };
}

/** What a parser accepts that returns `undefined` for what it does not. */
export function parsedBy<T>(
  parse: (text: string) => T | undefined,
  expects: string,
  range: string,
): SettingType<T> {
  return {
    parse: (text) => {
      const value = parse(text);
      return value === undefined ? refused : accept(value);
    },
    expects,
    range,
  };
}

const refused: Parsed<never> = { ok: false, reason: undefined };

function accept<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

function within(min: number, max: number, parse: (text: string) => number | undefined) {
  return (text: string): Parsed<number> => {
    const value = parse(text);
    return value !== undefined && value >= min && value <= max ? accept(value) : refused;
  };
}
