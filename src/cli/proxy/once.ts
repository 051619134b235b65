/** A command that runs while the proxy is up. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { CommandError } from "../errors.ts";

/**
 * Runs a command with this terminal; resolves with what it exits with, or 128 and the number of the signal that ended
 * it, as shells have it.
 *
 * @param variables on top of this process's own
 */
export async function runOnce(
  command: readonly string[],
  variables: Record<string, string>,
): Promise<number> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...variables } });
  // The terminal tells the command of Ctrl-C itself; what is sent to this process alone is passed on.
  const ignore = () => {};
  const pass = () => child.kill("SIGTERM");
  process.on("SIGINT", ignore).on("SIGTERM", pass);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", (error) => reject(new CommandError(`cannot run ${program}: ${error.message}`)));
      child.once("close", (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    process.off("SIGINT", ignore).off("SIGTERM", pass);
  }
}
