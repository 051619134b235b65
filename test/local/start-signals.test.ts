/** A signal to stop that comes before the server is ready. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { runtimes, startProgram, temporaryDirectory, until } from "./program.ts";

/** A server whose start takes for ever. */
const startForEver = `
  const { run } = await import(process.argv[2]);
  const program = () => {
    console.log("starting");
    return new Promise(() => {});
  };
  await run(["--port", "0", "--data", process.argv[3]], { program });
`;

for (const [name, runtime] of Object.entries(runtimes)) {
  for (const stop of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    test(`${name}: ${stop} ends a server that is starting`, async (t) => {
      const script = join(temporaryDirectory(t), "start.mjs");
      writeFileSync(script, startForEver);
      const module = import.meta.resolve("../../src/local/run.ts");
      const program = startProgram(t, [...runtime, script, module, temporaryDirectory(t)]);
      await until("the start", () => program.stdout.includes("starting"));
      process.kill(program.pid, stop);
      assert.deepEqual(await program.ended, { code: 0, signal: null });
      assert.equal(program.stderr, "");
    });
  }
}
