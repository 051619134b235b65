/** `completion` */
import { type Command, exitCodes } from "../command.ts";
import { type CompletedCommand, completionScripts } from "../completion.ts";
import { UsageError } from "../errors.ts";
import { quote } from "../format.ts";

/** The command that prints completions. `listCommands` returns the table of commands, which this one is in. */
export function completionCommand(listCommands: () => CompletedCommand[]): Command {
  return {
    name: "completion",
    arguments: ["SHELL"],
    isOfAnyRegistry: true,
    flags: [],
    summary: `prints what completes this command line in ${Object.keys(completionScripts).join(", ")}`,
    details:
      'bash: eval "$(stowage completion bash)" in ~/.bashrc; zsh: eval "$(stowage completion zsh)" in ~/.zshrc, after compinit; fish: stowage completion fish > ~/.config/fish/completions/stowage.fish.',
    run: async ({ args: [shell = ""], output }) => {
      const makeScript = Object.hasOwn(completionScripts, shell) ? completionScripts[shell] : undefined;
      const script = makeScript?.(listCommands());
      if (script === undefined) {
        const shells = Object.keys(completionScripts).join(", ");
        throw new UsageError(`there is no completion for ${quote(shell)}; there is one for ${shells}`);
      }
      output.text(script, { shell, script });
      return exitCodes.done;
    },
  };
}
