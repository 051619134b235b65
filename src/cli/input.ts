/** Texts that commands are given. */
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { CommandError, UsageError } from "./errors.ts";

/**
 * Reads a text from a file, or from stdin if `file` is `-`.
 *
 * @throws CommandError if the file cannot be read; UsageError if something else was on stdin
 */
export async function readInput(file: string, stdin: Readable): Promise<string> {
  if (file === "-") {
    if (stdin.readableEnded) throw new UsageError("stdin had the password: give that in STOWAGE_PASSWORD");
    return text(stdin);
  }
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${(error as Error).message}`);
  }
}
