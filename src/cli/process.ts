/** The command line as a process: its arguments, streams and exit code. */
import type { Serve } from "./command.ts";
import { run } from "./run.ts";

/** Runs the command of this process. `serve` starts the local server, for the command of that name. */
export async function runProcess(serve: Serve): Promise<void> {
  const { env: environment, stdin, stdout, stderr } = process;
  // A reader that wants only the first lines (`stowage audit | head`) closes the pipe, which is not an error.
  for (const stream of [stdout, stderr]) stream.on("error", () => {});
  process.exitCode = await run(process.argv.slice(2), { environment, stdin, stdout, stderr, serve });
}
