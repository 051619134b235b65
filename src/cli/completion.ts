/** Completion of the command line in shells: scripts that are made from the table of commands. */
import type { Command, Flag } from "./command.ts";

/** What completions need to know of a command; its flags with those that all have. */
export type CompletedCommand = Pick<Command, "name" | "summary" | "flags">;

/** A word to complete, and what it means. */
type Candidate = { word: string; summary: string };

/** What may follow some words: more words of a name, and the flags of a command. */
type Place = { words: string[]; names: Candidate[]; flags: Flag[] };

/** The flags of the program without a command. */
const outermost: Flag[] = [
  { name: "version", summary: "shows which release this is" },
  { name: "help", summary: "shows all commands" },
];

/** The script for each shell, from the table of commands. */
export const completionScripts: Record<string, (commands: readonly CompletedCommand[]) => string> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Every place at which something is completed: the beginning, each first word, and each command of two words. */
function placesOf(commands: readonly CompletedCommand[]): Place[] {
  const names = commands.map(({ name }) => name.split(" "));
  const firsts = [...new Set(names.map(([first = ""]) => first))];
  const below = firsts.map((first): Place => {
    const members = commands.filter(({ name }) => name.startsWith(`${first} `));
    return {
      words: [first],
      names: members.map(({ name, summary }) => ({ word: name.slice(first.length + 1), summary })),
      flags: commands.find(({ name }) => name === first)?.flags ?? [],
    };
  });
  const beginning: Place = {
    words: [],
    names: below.map(({ words: [word = ""], names: members }) => ({
      word,
      summary:
        commands.find(({ name }) => name === word)?.summary ??
        members.map((member) => member.word).join(", "),
    })),
    flags: outermost,
  };
  const commandsOfTwo = commands.filter(({ name }) => name.includes(" "));
  return [
    beginning,
    ...below,
    ...commandsOfTwo.map(({ name, flags }): Place => ({ words: name.split(" "), names: [], flags })),
  ];
}

function flagCandidates(flags: readonly Flag[]): Candidate[] {
  return flags.map(({ name, summary }) => ({ word: `--${name}`, summary }));
}

/** Words that begin with the most come first, as each shell takes the first pattern that fits. */
function fromTheLongest(places: Place[]): Place[] {
  return places.toSorted((a, b) => b.words.length - a.words.length);
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const cases = fromTheLongest(placesOf(commands)).map(({ words, names, flags }) => {
    const candidates = [...names, ...flagCandidates(flags)].map(({ word }) => word).join(" ");
    return `    ${patternOf(words)}) candidates="${candidates}" ;;`;
  });
  return `# Completion of stowage in bash. It is made by: stowage completion bash
_stowage() {
  local current="\${COMP_WORDS[COMP_CWORD]}" candidates="" word
  local before=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] || before+=("$word")
  done
  case "\${before[*]} " in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
}
complete -o bashdefault -o default -F _stowage stowage
`;
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const cases = fromTheLongest(placesOf(commands)).map(({ words, names, flags }) => {
    const described = (candidates: Candidate[]) =>
      candidates.map(({ word, summary }) => quoted(`${word}:${summary}`, "'\\''")).join(" ");
    return `    ${patternOf(words)}) names=(${described(names)}); flags=(${described(flagCandidates(flags))}) ;;`;
  });
  return `#compdef stowage
# Completion of stowage in zsh. It is made by: stowage completion zsh
_stowage() {
  local -a before names flags
  before=("\${(@)\${(@)words[2,CURRENT-1]}:#-*}")
  case "$before " in
${cases.join("\n")}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    _describe -o flag flags
  elif (( $#names )); then
    _describe command names
  else
    _files
  fi
}
if [[ $funcstack[1] == _stowage ]]; then _stowage "$@"; else compdef _stowage stowage; fi
`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = placesOf(commands).flatMap(({ words, names, flags }) => [
    ...names.map(
      ({ word, summary }) =>
        `complete -c stowage -f -n ${quoted(["__stowage_at", ...words].join(" "), "\\'")} -a ${word} -d ${quoted(summary, "\\'")}`,
    ),
    ...flags.map(
      ({ name, value, summary }) =>
        `complete -c stowage -n ${quoted([words.length === 0 ? "__stowage_at" : "__stowage_in", ...words].join(" "), "\\'")} -l ${name}${value === undefined ? "" : " -r"} -d ${quoted(summary, "\\'")}`,
    ),
  ]);
  return `# Completion of stowage in fish. It is made by: stowage completion fish
function __stowage_before
    set -l words (commandline -opc)
    string match --invert -- '-*' $words[2..]
end
# Whether the words before the cursor are these.
function __stowage_at
    test (string join ' ' -- (__stowage_before)) = (string join ' ' -- $argv)
end
# Whether the words before the cursor begin with these.
function __stowage_in
    set -l before (__stowage_before)
    test (count $before) -ge (count $argv); and test "$before[1..$(count $argv)]" = "$argv"
end
${lines.join("\n")}
`;
}

/** A shell's pattern for the words before the cursor, after which there is a space. */
function patternOf(words: string[]): string {
  return words.length === 0 ? "*" : `"${words.join(" ")} "*`;
}

/** A text in single quotes. */
function quoted(text: string, quote: string): string {
  const escaped = quote === "\\'" ? text.replaceAll("\\", "\\\\") : text;
  return `'${escaped.replaceAll("'", quote)}'`;
}
