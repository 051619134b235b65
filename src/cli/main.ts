/** `npm run -s stowage -- COMMAND` and `deno task -q stowage COMMAND`: manages a registry. */
import { run } from "./run.ts";

const { env: environment, stdin, stdout, stderr } = process;
// Who reads the first lines alone (`stowage audit | head`) has what they wanted.
for (const stream of [stdout, stderr]) stream.on("error", () => {});
process.exitCode = await run(process.argv.slice(2), { environment, stdin, stdout, stderr });
