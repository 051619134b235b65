/** `npm start` and `deno task start`: the registry on this machine. */
import "./compile-cache.ts";

// Deno warns of what the dependencies use.
process.noDeprecation = true;

const { run } = await import("./run.ts");
await run(process.argv.slice(2));
