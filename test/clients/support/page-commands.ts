/** Commands as a page of docs/ writes them, so that tests run what readers paste. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectDirectory } from "../../../src/local/workerd/bundle.ts";

/** The shell commands of a page below the comment `<!-- tested: MARK -->`. */
export function commandsOf(page: string, mark: string): string {
  const text = readFileSync(join(projectDirectory, "docs", page), "utf8");
  const [, commands] = new RegExp(`<!-- tested: ${mark} -->\n\`\`\`sh\n([^]*?)\`\`\``).exec(text) ?? [];
  assert(commands !== undefined, `${page} has no commands that are marked ${mark}`);
  return commands;
}
