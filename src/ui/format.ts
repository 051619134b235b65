/** Numbers, sizes and times as people read them, in the language of the page. */
import { locale } from "./language.ts";

const units = ["B", "kB", "MB", "GB", "TB", "PB"];

/** A size in bytes, in units of a thousand: `12.3 MB`. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${formatNumber(value, digits)} ${units[unit]}`;
}

/** A number with at most so many digits after its point. */
export function formatNumber(value: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

/** A large count, short: `1.2K`. */
export function formatCount(value: number): string {
  if (value < 10_000) return formatNumber(value);
  return new Intl.NumberFormat(locale(), { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

const steps: [Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** How long ago a time is: `3 days ago`. */
export function formatAgo(time: string, now = Date.now()): string {
  const seconds = (Date.parse(time) - now) / 1000;
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  const step = steps.find(([, size]) => Math.abs(seconds) >= size);
  return step === undefined
    ? format.format(0, "second")
    : format.format(Math.round(seconds / step[1]), step[0]);
}

/** A point in time, in the time zone of the browser. */
export function formatTime(time: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(
    new Date(time),
  );
}

/** A day. */
export function formatDay(day: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeZone: "UTC" }).format(new Date(day));
}

/** A duration in seconds, in days at most: `90 days`. */
export function formatDuration(seconds: number): string {
  const [unit, size] = steps.slice(2).find(([, each]) => seconds >= each) ?? (["second", 1] as const);
  return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "long" }).format(
    Math.round(seconds / size),
  );
}

/** The beginning of a digest, by which people tell it from others. */
export function shortDigest(digest: string): string {
  const [algorithm = "", hex = ""] = digest.split(":");
  return `${algorithm}:${hex.slice(0, 12)}`;
}

/** A tag; of those that cosign makes of a digest, the beginning. */
export function shortTag(tag: string): string {
  return tag.replace(/^(sha256-[0-9a-f]{12})[0-9a-f]{52}(\.\w+)$/, "$1…$2");
}
