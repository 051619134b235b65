/** The local server, but with a Worker whose requests can be made to last. */
import "../../src/local/compile-cache.ts";
import { join } from "node:path";
import { run } from "../../src/local/run.ts";
import { compileProgram } from "../../src/local/workerd/program.ts";

process.noDeprecation = true;
const drainMs = Number(process.env.TEST_DRAIN_MS ?? 20_000);
const worker = join(import.meta.dirname, "fixture-worker.ts");
await run(process.argv.slice(2), { program: () => compileProgram(worker), drainMs });
