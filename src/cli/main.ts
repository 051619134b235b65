/** `npm run -s stowage -- COMMAND` and `deno task -q stowage COMMAND`: runs a registry, and manages one. */
import { runProcess } from "./process.ts";

await runProcess(async (args) => {
  const [{ run }, { readProgram }] = await Promise.all([
    import("../local/run.ts"),
    import("../local/workerd/program.ts"),
  ]);
  await run(args, { program: readProgram });
});
