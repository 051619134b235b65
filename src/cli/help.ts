/** Answers to `--help`. */
import type { Command, Flag } from "./command.ts";
import { commands, commonFlags, flagsOf } from "./commands.ts";
import { formatTable } from "./output.ts";

const exits = `Exit codes: 0 done, 1 refused or failed (explain: "no"), 2 wrong usage.\n`;

/** The help for all commands, or for those that begin with a word. */
export function helpOf(group?: string): string {
  const shown = commands.filter(({ name }) => group === undefined || name.split(" ")[0] === group);
  const rows = shown.map((command) => [usageOf(command), command.summary]);
  const intro =
    group === undefined
      ? "Runs a registry on this machine, and manages one, here or deployed.\n\nstowage COMMAND\nnpm run -s stowage -- COMMAND     (in its sources)\ndeno task -q stowage COMMAND\n\n"
      : "";
  const more = "COMMAND --help says more of a command.\n";
  return `${intro}${formatTable(rows)}\n${formatFlags(commonFlags)}\n${more}${exits}`;
}

/** The help for one command. */
export function helpOfCommand(command: Command): string {
  const { summary, details, flags } = command;
  const sentence = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
  const text = details === undefined ? sentence : `${sentence} ${details}`;
  const own = flags.length === 0 ? "" : `${formatFlags(flags)}\n`;
  const common = formatFlags(flagsOf(command).slice(flags.length));
  return `stowage ${usageOf(command)}\n\n${text}\n\n${own}${common}\n${exits}`;
}

function usageOf(command: Command): string {
  const { name, flags } = command;
  return [name, ...argumentsOf(command), ...(flags.length === 0 ? [] : ["[flags]"])].join(" ");
}

/** The names of a command's arguments, with dots after one that may be followed by more; in brackets if optional. */
export function argumentsOf(command: Command): string[] {
  const { arguments: names, takesSeveral = false, isLastOptional = false, areAllOptional = false } = command;
  const last = names.length - 1;
  return names.map((name, index) => {
    const shown = takesSeveral && index === last ? `${name}…` : name;
    return areAllOptional || (isLastOptional && index === last) ? `[${shown}]` : shown;
  });
}

function formatFlags(flags: Flag[]): string {
  return formatTable(
    flags.map(({ name, value, summary }) => [`--${name}${value === undefined ? "" : ` ${value}`}`, summary]),
  );
}
