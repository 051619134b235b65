/** `npm start` and `deno task start`: the registry on this machine. */
import "./compile-cache.ts";

// Deno warns of what the dependencies use.
process.noDeprecation = true;

const [{ run }, { readProgram }] = await Promise.all([import("./run.ts"), import("./workerd/program.ts")]);
await run(process.argv.slice(2), { program: readProgram });
