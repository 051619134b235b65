/** The command line as a process: its arguments, streams and exit code. */
import { constants } from "node:os";
import { exitCodes, type Serve } from "./command.ts";
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

/** Has the process fail, and say so once, where what it prints cannot be written: a disk may be full. */
function watchOutput({ stdout, stderr }: Pick<NodeJS.Process, "stdout" | "stderr">): void {
  let isSaid = false;
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    // A reader that wants only the first lines (`stowage audit | head`) closes the pipe, which is not an error.
    if (error.code === "EPIPE" || isSaid) return;
    isSaid = true;
    stderr.write(`stowage: the output cannot be written: ${error.message}\n`);
    process.exitCode ||= exitCodes.refused;
  });
  // There is nowhere to say it.
  stderr.on("error", () => {});
}

/** Runs the command of this process. `serve` starts the local server, for the command of that name. */
export async function runProcess(serve: Serve): Promise<void> {
  endWhenTold();
  watchOutput(process);
  const { env: environment, stdin, stdout, stderr } = process;
  const exitCode = await run(process.argv.slice(2), { environment, stdin, stdout, stderr, serve });
  process.exitCode ||= exitCode;
}
