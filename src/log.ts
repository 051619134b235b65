/**
 * The log: a line for each thing that happened. What somebody should look at goes to stderr, all else to stdout.
 *
 * The form is that of the isolate, which has one environment: `settingsOf` sets it.
 */
import { systemClock } from "./clock.ts";

/** `json`: an object a line; `text`: for a terminal; `none`: nothing but what somebody should look at, as JSON. */
export type LogFormat = "json" | "text" | "none";

/** `info`: as it should be; `warn`: it failed, and is tried again or made up for; `error`: somebody should look at it. */
export type LogLevel = "info" | "warn" | "error";

let format: LogFormat = "json";

/** Says which form lines have from now on. */
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
 * @param event what happened, in a few words that are always the same
 * @param facts what it happened to. Of an error give its text: nothing else of it is written.
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
 * @param fields those of its JSON
 * @param words what it says in a terminal, after the time; empty ones are left out
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

/** Names come from clients: what would move a terminal's cursor or end the line is shown as its code. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** A text of at most so many characters; of a longer one the beginning, and a sign that there was more. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}
