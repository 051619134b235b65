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

type Call = { line: string; words: string[] };

const block = /^( *)```\w*\n([\s\S]*?)^\1```$/gm;

/** What follows a command in the blocks of code of a page, as words, each time that it is called. */
function callsOf(page: string, command: string): Call[] {
  return [...readFileSync(join(root, page), "utf8").matchAll(block)]
    .flatMap(([, , code = ""]) => code.replaceAll(/\\\n\s*/g, "").split("\n"))
    .filter((line) => line.includes(command))
    .map((line) => ({ line, words: wordsOf(line.slice(line.indexOf(command) + command.length)) }));
}

/** The calls of `stowage` that begin a line of code. The line that says that the server is ready is none. */
function callsInCode(page: string): Call[] {
  return callsOf(page, "stowage ").filter(({ line }) => /^ *(\$ )?stowage (?!\S+ is ready)/.test(line));
}

/** Those in sentences. */
function callsInText(page: string): Call[] {
  const text = readFileSync(join(root, page), "utf8").replaceAll(block, "");
  return Array.from(text.matchAll(/`stowage ([^`]+)`/g), ([line, call = ""]) => ({
    line,
    words: wordsOf(call),
  }));
}

test("the command line takes what the pages call it with", () => {
  const calls = pages.flatMap((page) => [...callsOf(page, "npm run -s stowage -- "), ...callsInCode(page)]);
  assert(calls.length > 40);
  for (const { line, words } of calls) assert.doesNotThrow(() => parse(words), line);
});

/** What is wrong with a call; a sentence leaves arguments out. */
function complaintOf(words: string[]): string {
  try {
    parse(words);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

test("the command line has the commands that the pages speak of", () => {
  const calls = pages.flatMap(callsInText);
  assert(calls.length > 40);
  for (const { line, words } of calls)
    assert.match(complaintOf(words), /^$| takes .* --help says more$/, line);
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
