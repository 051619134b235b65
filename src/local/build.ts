/** `npm run build`: makes what the local server runs, which needs nothing for development after it. */
import { buildProgram } from "./workerd/program.ts";

await buildProgram();
