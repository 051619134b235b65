/**
 * The log: one line per event. Lines that need attention go to stderr, all others to stdout.
 *
 * The format is the same for the whole isolate, which has one environment: `settingsOf` sets it.
 */
import { systemClock } from "./clock.ts";

/** `json`: one object per line; `text`: for a terminal; `none`: only lines that need attention, as JSON. */
export type LogFormat = "json" | "text" | "none";

/** `info`: normal; `warn`: it failed, and is repeated or compensated; `error`: it needs attention. */
export type LogLevel = "info" | "warn" | "error";

let format: LogFormat = "json";

/** Sets the format of all later lines. */
export function setLogFormat(to: LogFormat): void {
  format = to;
}

/** Whether lines of a level are written. */
export function isLogged(level: LogLevel): boolean {
  return format !== "none" || level !== "info";
}

/**
 * Writes a line about an event.
 *
 * @param event what happened, in a few words that never change
 * @param facts the details. For an error pass its text: nothing else of it is written.
 */
export function log(level: LogLevel, event: string, facts: object = {}): void {
  writeLine(level, { event, ...facts }, () => [
    level,
    event,
    ...Object.entries(facts)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`),
  ]);
}

/**
 * Writes a line.
 *
 * @param fields the fields of the JSON form
 * @param words the words of the terminal form, after the time; empty ones are left out
 */
export function writeLine(level: LogLevel, fields: object, words: () => string[]): void {
  if (!isLogged(level)) return;
  const time = new Date(systemClock.now()).toISOString();
  const line =
    format === "text"
      ? [time.slice(11, 23), ...words()]
          .filter((word) => word !== "")
          .map(printable)
          .join("  ")
      : JSON.stringify({ time, ...fields });
  console[level === "info" ? "log" : level](line);
}

/** Names come from clients: characters that would move a terminal's cursor or end the line are shown as codes. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** The text, if it has at most `most` characters; otherwise its beginning and an ellipsis. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}
