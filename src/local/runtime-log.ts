/**
 * The output of workerd, as lines of this server's log. The Worker's own lines pass unchanged. workerd's are C++'s: a
 * place in the source, a level, a message, and a stack of addresses that means nothing without its symbols.
 */
import type { Writable } from "node:stream";
import type { Settings } from "../settings/settings.ts";
import { mebibyte } from "../units.ts";

const fromSource = /^\S+\.(?:c\+\+|h|capnp):\d+: (\w+): (.*)$/;
const fatal = /^\*\*\* (?:Fatal )?(.*)$/;
/** workerd logs this for alarms that were due while the server was off. It is harmless. */
const lateAlarm = /^warning: NOSENTRY SQLite alarm overdue/;
const stack = /;? ?stack: .*$/;
/** The beginning of the Worker's own lines: JSON, or the time (log.ts). */
const ofWorker = /^(?:\{|\d\d:\d\d:\d\d\.\d{3} {2})/;

/** How much may wait for a reader of the log that has stopped reading: some ten thousand lines. */
const mostWaitingBytes = 4 * mebibyte;

/** Writes one line about the server itself, in JSON if the log is. */
export function serverLine(format: Settings["logFormat"], message: string, event = "server"): string {
  const line =
    format === "json"
      ? JSON.stringify({ time: new Date().toISOString(), event, message })
      : `stowage: ${message}`;
  return `${visible(line)}\n`;
}

/**
 * Passes lines on. Where nobody reads them, as behind a collector of logs that hangs, the registry serves all the same: lines
 * beyond 4 MiB are dropped until all that waits has been read. Then a line says how many.
 *
 * @returns takes a line, without its end, of one of workerd's streams
 */
export function runtimeLog(
  format: Settings["logFormat"],
  to: { stdout: Writable; stderr: Writable },
): (line: string, stream: "stdout" | "stderr") => void {
  const stdout = boundedOutput(format, to.stdout);
  const stderr = boundedOutput(format, to.stderr);
  return (line, stream) => {
    if (stream === "stdout" || ofWorker.test(line)) {
      const write = stream === "stdout" ? stdout : stderr;
      write(`${visible(line)}\n`);
      return;
    }
    const message = messageOf(line);
    if (message !== "" && !lateAlarm.test(message))
      stderr(serverLine(format, `workerd: ${message}`, "workerd"));
  };
}

function boundedOutput(format: Settings["logFormat"], output: Writable): (text: string) => void {
  let dropped = 0;
  return (text) => {
    const waitingBytes = output.writableLength;
    if (dropped > 0 ? waitingBytes > 0 : waitingBytes > mostWaitingBytes) {
      dropped++;
      return;
    }
    if (dropped > 0)
      output.write(serverLine(format, `${dropped} lines of the log were dropped, as nobody read it`));
    dropped = 0;
    output.write(text);
  };
}

/**
 * What would move a terminal's cursor, or end a line, as its code. JSON has escapes for the first 32 of such characters
 * alone; in one of its texts, this is one of them, too.
 */
function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
  return text.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function messageOf(line: string): string {
  const text = line.replace(stack, "");
  const [, level, message] = fromSource.exec(text) ?? [];
  if (level !== undefined && message !== undefined) return `${level}: ${message}`;
  return fatal.exec(text)?.[1] ?? text;
}
