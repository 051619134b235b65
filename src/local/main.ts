/** `npm start` and `deno task start`: the registry on this machine. */
import module from "node:module";

// Deno warns of what the dependencies use; Node can keep what it compiled of them (a quarter of a second).
process.noDeprecation = true;
module.enableCompileCache?.();

const { run } = await import("./run.ts");
await run(process.argv.slice(2));
