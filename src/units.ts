/** Times in milliseconds and sizes in bytes, and how people write them. */
export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

/** The day of a time in milliseconds since 1970, counted from 1970, in UTC. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / day);
}

/** A day as it is written: `2026-11-29`. */
export function formatDay(days: number): string {
  return new Date(days * day).toISOString().slice(0, 10);
}

export const kibibyte = 1024;
export const mebibyte = 1024 * kibibyte;
export const gibibyte = 1024 * mebibyte;

type Units = readonly (readonly [unit: string, amount: number])[];

const durationUnits: Units = [
  ["d", day],
  ["h", hour],
  ["m", minute],
  ["s", second],
  ["ms", 1],
];

const sizeUnits: Units = [
  ["GiB", gibibyte],
  ["MiB", mebibyte],
  ["KiB", kibibyte],
  ["GB", 1000 ** 3],
  ["MB", 1000 ** 2],
  ["KB", 1000],
  ["", 1],
];

/** Reads a duration such as `90s`, `15m`, `24h`, `7d` or `250ms`; returns milliseconds. */
export function parseDuration(text: string): number | undefined {
  return parseAmount(text, durationUnits);
}

/** Reads a size such as `5242880`, `512KiB`, `5MiB` or `50MB`; returns bytes. */
export function parseSize(text: string): number | undefined {
  return parseAmount(text, sizeUnits);
}

/** Writes milliseconds in the largest unit of which they are a whole number. */
export function formatDuration(milliseconds: number): string {
  return formatAmount(milliseconds, durationUnits);
}

/** Writes bytes in the largest unit of which they are a whole number. */
export function formatSize(bytes: number): string {
  return formatAmount(bytes, sizeUnits);
}

function parseAmount(text: string, units: Units): number | undefined {
  const [, digits, unit] = /^(\d{1,12})([A-Za-z]*)$/.exec(text) ?? [];
  const amount = units.find(([name]) => name === unit)?.[1];
  const product = Number(digits) * (amount ?? Number.NaN);
  return Number.isSafeInteger(product) ? product : undefined;
}

function formatAmount(amount: number, units: Units): string {
  if (amount === 0) return `0${units.at(-1)?.[0]}`;
  const [name, one] = units.find(([, each]) => amount % each === 0) ?? ["", 1];
  return `${amount / one}${name}`;
}
