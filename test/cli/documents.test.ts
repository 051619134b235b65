/** Every command that the pages tell readers to type is one that the programs take. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import test from "node:test";
import { parse } from "../../src/cli/parse.ts";
import { parseFlags } from "../../src/local/flags.ts";

const root = join(import.meta.dirname, "..", "..");
const pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
  .concat(readdirSync(join(root, "docs")).map((name) => join("docs", name)))
  .filter((name) => name.endsWith(".md"));
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** The words of a line of a shell, up to a pipe, a redirection, another command or a remark. */
function wordsOf(line: string): string[] {
  const words = line.matchAll(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|([|>&;#]).*|((?:[^\s'"|>&;]|'[^']*'|"[^"]*")+)/g,
  );
  const all: string[] = [];
  for (const [, double, single, end, plain] of words) {
    if (end !== undefined) break;
    all.push((double ?? single ?? plain ?? "").replace(/'([^']*)'|"([^"]*)"/g, "$1$2"));
  }
  return all;
}

/** What follows a command in the blocks of code of a page, as words, each time that it is called. */
function callsOf(page: string, command: string): { line: string; words: string[] }[] {
  const blocks = readFileSync(join(root, page), "utf8").matchAll(/^( *)```\w*\n([\s\S]*?)^\1```$/gm);
  return [...blocks]
    .flatMap(([, , block = ""]) => block.replaceAll(/\\\n\s*/g, "").split("\n"))
    .filter((line) => line.includes(command))
    .map((line) => ({ line, words: wordsOf(line.slice(line.indexOf(command) + command.length)) }));
}

test("the command line takes what the pages call it with", () => {
  const calls = pages.flatMap((page) => callsOf(page, "npm run -s stowage -- "));
  assert(calls.length > 20);
  for (const { line, words } of calls) assert.doesNotThrow(() => parse(words), line);
});

test("the local server takes the flags that the pages give it", () => {
  const commands = ["npm start -- ", "npm -s start -- ", "node src/local/main.ts "];
  const calls = pages.flatMap((page) => commands.flatMap((command) => callsOf(page, command)));
  assert(calls.length > 5);
  for (const { line, words } of calls) {
    const parsed = parseFlags(words, { ADMIN_PASSWORD: "so that it may listen anywhere" });
    // The page's `$(cat issuers.json)` is the shell's to read.
    const isRight = parsed.ok || /TOKEN_ISSUERS is wrong: it must be JSON/.test(parsed.reason);
    assert(isRight, `${line}: ${parsed.ok ? "" : parsed.reason}`);
  }
});

test("every script that a page names is there", () => {
  for (const page of pages) {
    const named = readFileSync(join(root, page), "utf8").matchAll(/npm run (?:-s )?([a-z][a-z:]*)/g);
    for (const [, name = ""] of named)
      assert(Object.hasOwn(scripts, name), `${relative(".", page)}: ${name}`);
  }
});
