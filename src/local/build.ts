/** `npm run build`: makes what the local server runs, which needs nothing for development after it. */
import { buildProgram, ProgramError } from "./workerd/program.ts";

try {
  await buildProgram();
} catch (error) {
  if (!(error instanceof ProgramError)) throw error;
  console.error(`stowage: ${error.message}`);
  process.exitCode = 1;
}
