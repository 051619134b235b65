/** Signals to stop: before the server is ready, and where the disk does not let it tidy up. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { hasEnded, isAlive, signal } from "../../src/local/processes.ts";
import { afterTest } from "../support/ends.ts";
import { ready, recordedWorkerd, runtimes, startProgram, temporaryDirectory, until } from "./program.ts";

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

/** A server with a workerd that needs no program. */
const start = `
  const { run } = await import(process.argv[2]);
  await run(["--port", "0", "--data", process.argv[3]], { program: async () => new Uint8Array() });
`;

/** Starts a server whose workerd has read its configuration and does not listen yet. No setpriv binds it to the server. */
async function startSlowly(t: TestContext, data: string) {
  const directory = temporaryDirectory(t);
  const [script, workerd, started] = ["start.mjs", "workerd", "started"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  writeFileSync(script, start);
  const slow = `#!/bin/sh\n/bin/cat >/dev/null\necho $$ >'${started}'\nwhile :; do /bin/sleep 0.1; done\n`;
  writeFileSync(workerd, slow);
  chmodSync(workerd, 0o755);
  const module = import.meta.resolve("../../src/local/run.ts");
  const env = { PATH: "/nonexistent", STOWAGE_WORKERD: workerd };
  const program = startProgram(t, [...runtimes.node, script, module, data], { data, env });
  const pid = await until("its workerd", () => {
    if (program.hasEnded) throw new Error(program.stderr);
    return existsSync(started) ? Number(readFileSync(started, "utf8")) : undefined;
  });
  afterTest(t, () => signal(pid, "SIGKILL"));
  return { program, pid };
}

test("a server that is ended while its workerd starts leaves none behind", async (t) => {
  const { program, pid } = await startSlowly(t, temporaryDirectory(t));
  process.kill(program.pid, "SIGTERM");
  assert.deepEqual(await program.ended, { code: 0, signal: null });
  assert(await hasEnded(pid, 5_000));
});

test("a workerd that was starting when its server was killed is ended by the next start", async (t) => {
  const data = temporaryDirectory(t);
  const killed = await startSlowly(t, data);
  signal(killed.program.pid, "SIGKILL");
  await killed.program.ended;
  assert(isAlive(killed.pid));
  await startSlowly(t, data);
  assert(!isAlive(killed.pid));
});

test("a server whose volume takes no changes any more ends as it should", async (t) => {
  const data = temporaryDirectory(t);
  const main = join(import.meta.dirname, "fixture-main.ts");
  const program = startProgram(t, [...runtimes.node, main, "--port", "0", "--data", data], { data });
  await ready(program);
  const workerd = recordedWorkerd(data) ?? 0;
  // As root, nothing else keeps them from being removed.
  for (const name of ["server.json", "workerd.pid"]) {
    rmSync(join(data, name));
    mkdirSync(join(data, name));
  }
  process.kill(program.pid, "SIGTERM");
  assert.deepEqual(await program.ended, { code: 0, signal: null });
  assert.equal(program.stderr, "");
  assert(!isAlive(workerd));
});
