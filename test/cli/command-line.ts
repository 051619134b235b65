/** The command line, called inside the test. */
import assert from "node:assert/strict";
import { Readable, Writable } from "node:stream";
import { run } from "../../src/cli/run.ts";

/** What a call came to. */
export type Outcome = { code: number; stdout: string; stderr: string };

class Captured extends Writable {
  text = "";
  readonly isTTY: boolean;

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: unknown, _: unknown, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** Calls a command. `isTerminal`: what it prints is seen by a person. */
export async function call(
  args: string[],
  environment: Record<string, string> = {},
  stdin: string | Uint8Array = "",
  isTerminal = false,
): Promise<Outcome> {
  const stdout = new Captured(isTerminal);
  const stderr = new Captured(isTerminal);
  const serve = async (words: readonly string[]) => void stdout.write(`serve ${words.join(" ")}\n`);
  const code = await run(args, { environment, stdin: Readable.from([stdin]), stdout, stderr, serve });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Checks that a call was refused with one line on stderr, and nothing on stdout. */
export function assertRefused(outcome: Outcome, code: number, message: RegExp): void {
  assert.deepEqual([outcome.code, outcome.stdout], [code, ""], outcome.stderr);
  assert.match(outcome.stderr, /^stowage: [^\n]+\n$/);
  assert.match(outcome.stderr, message);
}
