/** `npm run build`: makes the file that the local server runs, so that it needs no development dependencies. */
import { ProgramError, WorkerdError } from "./workerd/errors.ts";
import { buildProgram } from "./workerd/program.ts";

try {
  await buildProgram();
} catch (error) {
  if (!(error instanceof ProgramError || error instanceof WorkerdError)) throw error;
  console.error(`stowage: ${error.message}`);
  process.exitCode = 1;
}
