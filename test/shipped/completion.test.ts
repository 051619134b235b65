/** Completion in zsh and fish, as these shells do it. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { call } from "../cli/command-line.ts";
import { hasPrograms, run } from "../clients/support/programs.ts";
import { temporaryDirectory } from "../local/program.ts";

/** What is offered for a line, in any order. */
const offered: [line: string, words: string[]][] = [
  ["stowage acc", ["account"]],
  ["stowage account ", ["create", "delete", "list", "set", "show"]],
  ["stowage keys ", ["rotate"]],
  ["stowage account create --gran", ["--grant"]],
  ["stowage serve --tls-", ["--tls-cert", "--tls-key"]],
];

test("fish completes commands, their second words and their flags", async (t) => {
  if (!hasPrograms(t, "fish")) return;
  const script = join(temporaryDirectory(t), "stowage.fish");
  writeFileSync(script, (await call(["completion", "fish"])).stdout);
  for (const [line, words] of offered) {
    const { stdout } = await run("fish", ["--no-config", "-c", `source '${script}'; complete -C '${line}'`]);
    const found = stdout
      .trim()
      .split("\n")
      .map((each) => each.split("\t")[0]);
    assert.deepEqual(found.toSorted(), words, line);
  }
});

test("zsh completes commands, their second words and their flags", async (t) => {
  if (!hasPrograms(t, "zsh")) return;
  const directory = temporaryDirectory(t);
  const script = join(directory, "stowage.zsh");
  writeFileSync(script, (await call(["completion", "zsh"])).stdout);
  // What would be shown is printed instead: compadd is what all completions end with.
  const shell = `
autoload -Uz compinit; compinit -u -d '${join(directory, "dump")}'
source '${script}'
_describe() { local -a all; all=("\${(@P)argv[-1]}"); local each; for each in $all; do each="\${each%%:*}"; [[ $each == "$PREFIX"* ]] && print -r -- "$each"; done }
_files() { print -r -- files }
words=("\${(@s: :)LINE}"); CURRENT=$#words; PREFIX=$words[CURRENT]
_stowage
true
`;
  for (const [line, words] of offered) {
    const { stdout } = await run("zsh", ["-f", "-c", shell], { env: { LINE: line } });
    assert.deepEqual(stdout.trim().split("\n").toSorted(), words, line);
  }
});
