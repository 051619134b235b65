/** From the command line to a command. */
import { parseArgs } from "node:util";
import { version } from "../version.ts";
import { type Command, type Flag, FlagValues } from "./command.ts";
import { commands, commonFlags, flagsOf } from "./commands.ts";
import { UsageError } from "./errors.ts";
import { quote } from "./format.ts";
import { argumentsOf, helpOf, helpOfCommand } from "./help.ts";

/** The result of parsing: a command to run, or a text to print. */
export type Parsed =
  | { kind: "run"; command: Command; args: string[]; flags: FlagValues }
  | { kind: "text"; text: string };

/**
 * Parses the command line.
 *
 * @param given the arguments after the program's name
 * @throws UsageError
 */
export function parse(given: readonly string[]): Parsed {
  // npm takes the -- between its flags and ours away; deno task leaves it.
  const all = given[0] === "--" ? given.slice(1) : [...given];
  const selfReader = commands.find(({ name, readsItself }) => readsItself && name === all[0]);
  if (selfReader !== undefined) {
    return { kind: "run", command: selfReader, args: all.slice(1), flags: new FlagValues(new Map()) };
  }
  const restAt = all.findIndex((word) => restFlags.has(word));
  const own = restAt < 0 ? all : all.slice(0, restAt + 1);
  if (own.includes("--version")) return { kind: "text", text: `stowage ${version}\n` };
  const words = wordsOf(own);
  const command = commands.find(({ name }) => isBeginning(name.split(" "), words));
  const isHelp = own.includes("--help") || words[0] === "help";
  if (command === undefined) {
    const group = words[0] === "help" ? words[1] : words[0];
    const groups = new Set(commands.map(({ name }) => name.split(" ")[0] ?? ""));
    const isGroup = group !== undefined && groups.has(group);
    if (isHelp) return { kind: "text", text: helpOf(isGroup ? group : undefined) };
    throw new UsageError(whichCommands(words, isGroup, groups));
  }
  if (isHelp) return { kind: "text", text: helpOfCommand(command) };
  const { positionals, flags } = split(own, flagsOf(command), false, all.slice(own.length));
  const args = positionals.slice(command.name.split(" ").length);
  const { length } = command.arguments;
  const optional = command.areAllOptional === true ? length : Number(command.isLastOptional === true);
  const least = length - optional;
  if (args.length < least || (args.length > length && command.takesSeveral !== true)) {
    const wanted = length === 0 ? "no arguments" : argumentsOf(command).join(" ");
    throw new UsageError(`${command.name} takes ${wanted}; ${command.name} --help says more`);
  }
  return { kind: "run", command, args, flags };
}

/** The flags after which all words are somebody else's. */
const restFlags = new Set(
  commands.flatMap(({ flags }) => flags.filter(({ takesRest }) => takesRest).map(({ name }) => `--${name}`)),
);

/** The positional words, before it is known which command's flags take values. */
function wordsOf(args: string[]): string[] {
  return split(args, [...commands.flatMap(({ flags }) => flags), ...commonFlags], true).positionals;
}

function isBeginning(name: string[], words: string[]): boolean {
  return name.every((word, index) => words[index] === word);
}

function whichCommands([first, second]: string[], isGroup: boolean, groups: Set<string>): string {
  const members = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (isGroup) {
    const names = members.map(({ name }) => name.split(" ")[1]).join(", ");
    return `${second === undefined ? "" : `there is no ${first} ${quote(second)}; `}${first} needs one of ${names}`;
  }
  const problem = first === undefined ? "a command is needed" : `there is no command ${quote(first)}`;
  return `${problem}; there are ${[...groups].join(", ")}, and --help`;
}

function split(args: string[], known: Flag[], isLenient = false, rest: string[] = []) {
  const entries = known.map(({ name, value, takesRest }) => {
    return [
      name,
      { type: value === undefined || takesRest ? ("boolean" as const) : ("string" as const) },
    ] as const;
  });
  const options = Object.fromEntries(entries);
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  const positionals: string[] = [];
  const values = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const flag = known.find((candidate) => candidate.name === name);
    if (!isLenient) checkFlag(flag, rawName, value, values.has(name));
    if (flag?.takesRest) values.set(name, rest);
    if (flag?.takesRest) continue;
    values.set(name, [...(values.get(name) ?? []), value ?? ""]);
  }
  return { positionals, flags: new FlagValues(values) };
}

function checkFlag(
  flag: Flag | undefined,
  rawName: string,
  value: string | undefined,
  isAgain: boolean,
): void {
  if (flag === undefined) throw new UsageError(`there is no flag ${rawName}; --help shows the flags`);
  if (flag.takesRest && value === undefined) return;
  if (flag.value === undefined && value !== undefined) throw new UsageError(`${rawName} takes no value`);
  if (flag.value !== undefined && value === undefined) throw new UsageError(`${rawName} needs a value`);
  if (isAgain && flag.isRepeatable !== true) throw new UsageError(`${rawName} is given twice`);
}
