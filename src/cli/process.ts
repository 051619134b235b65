/** The command line as a process: its arguments, streams and exit code. */
import { constants } from "node:os";
import type { Serve } from "./command.ts";
import { run } from "./run.ts";
import { removeTemporary } from "./temporary.ts";

/**
 * Ends the process at a signal, unless the command takes that signal itself. The kernel would do it as well, but not for
 * process 1 of a container, and temporary files would stay.
 */
function endWhenTold(): void {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (process.listenerCount(name) > 1) return;
      removeTemporary();
      if (process.pid === 1) process.exit(128 + constants.signals[name]);
      // As if there were no handler: a shell's loop ends with a command that a signal has ended.
      process.removeAllListeners(name);
      process.kill(process.pid, name);
    });
  }
}

/** Runs the command of this process. `serve` starts the local server, for the command of that name. */
export async function runProcess(serve: Serve): Promise<void> {
  endWhenTold();
  const { env: environment, stdin, stdout, stderr } = process;
  // A reader that wants only the first lines (`stowage audit | head`) closes the pipe, which is not an error.
  for (const stream of [stdout, stderr]) stream.on("error", () => {});
  process.exitCode = await run(process.argv.slice(2), { environment, stdin, stdout, stderr, serve });
}
