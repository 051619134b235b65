/** `npm run build`: makes the file that the local server runs, so that it needs no development dependencies. */
import { buildProgram, ProgramError } from "./workerd/program.ts";

try {
  await buildProgram();
} catch (error) {
  if (!(error instanceof ProgramError)) throw error;
  console.error(`stowage: ${error.message}`);
  process.exitCode = 1;
}
