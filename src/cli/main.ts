/** `npm run -s stowage -- COMMAND` and `deno task -q stowage COMMAND`: manages a registry. */
import { run } from "./run.ts";

const { env: environment, stdin, stdout, stderr } = process;
// A reader that wants only the first lines (`stowage audit | head`) closes the pipe, which is not an error.
for (const stream of [stdout, stderr]) stream.on("error", () => {});
process.exitCode = await run(process.argv.slice(2), { environment, stdin, stdout, stderr });
