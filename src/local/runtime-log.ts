/**
 * What workerd writes, as lines of this server's log. The Worker's own lines pass as they are. workerd's are C++'s: a
 * place in the source, a level, a message, and a stack of addresses that means nothing without its symbols.
 */
import type { Writable } from "node:stream";
import type { Settings } from "../env.ts";

const fromSource = /^\S+\.(?:c\+\+|h|capnp):\d+: (\w+): (.*)$/;
const fatal = /^\*\*\* (?:Fatal )?(.*)$/;
const stack = /;? ?stack: .*$/;

/** Writes one line about the server itself: JSON where all lines are. */
export function serverLine(format: Settings["logFormat"], message: string, event = "server"): string {
  if (format === "json") return `${JSON.stringify({ time: new Date().toISOString(), event, message })}\n`;
  return `stowage: ${message}\n`;
}

/**
 * Passes lines on.
 *
 * @returns takes a line, without its end, of one of workerd's streams
 */
export function runtimeLog(
  format: Settings["logFormat"],
  to: { stdout: Writable; stderr: Writable },
): (line: string, stream: "stdout" | "stderr") => void {
  return (line, stream) => {
    if (stream === "stdout" || line.startsWith("{")) {
      to[stream].write(`${line}\n`);
      return;
    }
    const message = messageOf(line);
    if (message !== "") to.stderr.write(serverLine(format, `workerd: ${message}`, "workerd"));
  };
}

function messageOf(line: string): string {
  const text = line.replace(stack, "");
  const [, level, message] = fromSource.exec(text) ?? [];
  if (level !== undefined && message !== undefined) return `${level}: ${message}`;
  return fatal.exec(text)?.[1] ?? text;
}
