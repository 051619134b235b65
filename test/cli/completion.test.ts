/** Completion: the script for bash in bash itself, if it is here; those for other shells in test/shipped. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";
import { commands, flagsOf } from "../../src/cli/commands.ts";
import { assertRefused, call } from "./command-line.ts";

/** What bash offers for a line whose last word is being written. */
function completeInBash(script: string, words: string[]): string[] {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const asked = `${script}
COMP_WORDS=(stowage ${quoted}); COMP_CWORD=${words.length}; _stowage; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["--norc", "-c", asked], { encoding: "utf8" }).trim().split("\n");
}

test("bash completes commands, their second words and their flags", async () => {
  const { code, stdout: script } = await call(["completion", "bash"]);
  assert.equal(code, 0);
  const firsts = [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? ""))];
  assert.deepEqual(completeInBash(script, [""]), [...firsts, "--version", "--help"]);
  assert.deepEqual(completeInBash(script, ["acc"]), ["account"]);
  assert.deepEqual(completeInBash(script, ["account", ""]), ["list", "show", "create", "set", "delete"]);
  for (const command of commands) {
    const flags = flagsOf(command).map(({ name }) => `--${name}`);
    assert.deepEqual(completeInBash(script, [...command.name.split(" "), "--"]), flags, command.name);
  }
  assert.deepEqual(completeInBash(script, ["token", "create", "--url", "http://localhost/", "--gr"]), [
    "--grant",
  ]);
});

test("every shell's script has every command and every flag", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { stdout } = await call(["completion", shell]);
    for (const command of commands) {
      for (const word of command.name.split(" ")) assert(stdout.includes(word), `${shell}: ${word}`);
      for (const { name } of flagsOf(command)) assert(stdout.includes(name), `${shell}: ${name}`);
    }
  }
});

test("another shell is refused", async () => {
  for (const shell of ["tcsh", "constructor", "toString"]) {
    const message = new RegExp(`there is no completion for "${shell}"; there is one for bash, zsh, fish`);
    assertRefused(await call(["completion", shell]), 2, message);
  }
});
