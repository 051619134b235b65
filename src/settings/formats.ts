/**
 * The types of settings: durations, sizes, numbers, words and texts, and what has a form of its own. Each describes the
 * values that it accepts.
 */
import { maxHosts, parseHosts, parseOrigin } from "../oci/address.ts";
import type { Rejection, Result } from "../oci/errors.ts";
import { parseIssuers, type TrustedIssuer } from "../oci/issuer.ts";
import { parseUpstreams, type Upstream } from "../oci/upstream.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "../units.ts";

/** A parsed text, or a rejection. `reason`: what is wrong, if {@link SettingType.expects} would not help. */
export type Parsed<T> = Result<{ value: T }, Rejection<string | undefined>>;

/** The type of a setting. */
export type SettingType<T> = {
  parse: (text: string) => Parsed<T>;
  /** A description of the accepted values, for errors. */
  expects: string;
  /** The same for a cell of a Markdown table. */
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

/** A whole number, in decimal digits, which is multiplied by `unit`. */
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

/** Accepts the same as another type, or a word, which means `undefined`: a choice that operators write out. */
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

/** Accepts the same as another type, or the empty text, which means `undefined`: there is no such thing. */
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

/** A text of at least this length, in characters. Errors do not quote it, because it is a secret. */
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

/** A type from a parser that returns `undefined` for texts that it does not accept. */
function parsedBy<T>(parse: (text: string) => T | undefined, expects: string, range: string): SettingType<T> {
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

/** Token services of others. */
export const issuers: SettingType<TrustedIssuer[]> = {
  parse: (json) => {
    const parsed = parseIssuers(json);
    return parsed.ok ? { ok: true, value: parsed.issuers } : parsed;
  },
  expects: "a JSON array of issuers as docs/access.md describes them",
  range: "JSON",
};

/** Other registries. */
export const upstreams: SettingType<Upstream[]> = {
  parse: parseUpstreams,
  expects: "a JSON array of upstreams as docs/caching.md describes them",
  range: "JSON",
};

/** A scheme and a host, without a slash at the end. */
export const origin = parsedBy(
  (url) => parseOrigin(url.replace(/\/$/, ""))?.origin,
  "an http or https URL of a host alone, such as https://registry.example.com",
  "a URL without a path",
);

/** Names and addresses of hosts. */
export const hosts = parsedBy(
  parseHosts,
  `at most ${maxHosts} host names or addresses, separated by commas, without ports; IPv6 in brackets`,
  `at most ${maxHosts} names or addresses`,
);
