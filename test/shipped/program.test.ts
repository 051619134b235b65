/** The packed program, installed as its users install it, under each runtime that it is for. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { variableNames } from "../../src/settings/settings.ts";
import { version } from "../../src/version.ts";
import { writeImage } from "../clients/support/oci-layout.ts";
import { hasPrograms, run } from "../clients/support/programs.ts";
import { ready, runtimes, startProgram, temporaryDirectory } from "../local/program.ts";
import { diskBytes, type Installed, installProgram } from "./support/artefacts.ts";

const maxBytes = 150_000_000;

/** The runtimes; those that are not installed with the project are programs on the PATH. */
const nodes = {
  "Node 20": ["node-20"],
  "Node 22": ["node-22"],
  "Node 24": runtimes.node,
  Deno: runtimes.deno,
};
type Runtime = keyof typeof nodes;

async function call(runtime: Runtime, { main }: Installed, ...args: string[]) {
  const [file = "", ...flags] = nodes[runtime];
  return await run(file, [...flags, main, ...args], { env: { DOCKER_CONFIG: "/nonexistent" } });
}

/** Starts the registry, and stops it after the work as a supervisor does. */
async function whileServing(
  t: TestContext,
  runtime: Runtime,
  { main }: Installed,
  work: (url: string) => Promise<void>,
): Promise<void> {
  const data = join(temporaryDirectory(t), "data");
  const server = startProgram(t, [...nodes[runtime], main, "serve", "--port", "0", "--data", data], { data });
  await work(await ready(server));
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.ended, { code: 0, signal: null });
  assert.equal(server.stderr, "");
}

test("the packed program", async (t) => {
  if (!hasPrograms(t, "npm", "node-20", "node-22")) return;
  const installed = await installProgram(t);

  await t.test("takes at most 150 MB, depends on workerd alone, and says whose code is in it", () => {
    const bytes = diskBytes(installed.directory);
    t.diagnostic(`installed: ${(bytes / 1e6).toFixed(1)} MB`);
    assert(bytes > 100_000_000 && bytes <= maxBytes, String(bytes));
    const folder = join(installed.main, "..");
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    assert.deepEqual([Object.keys(dependencies), devDependencies], [["workerd"], undefined]);
    const notices = readFileSync(join(folder, "NOTICES.txt"), "utf8");
    for (const name of ["jose", "valibot", "itty-router", "preact", "marked"]) {
      assert.match(notices, new RegExp(`^${name} \\d.*\\n\\n(.*\\n)*.*Copyright`, "m"));
    }
  });

  await t.test("is on the PATH as stowage", async () => {
    const { stdout } = await run(join(installed.directory, "bin", "stowage"), ["--version"]);
    assert.equal(stdout, `stowage ${version}\n`);
  });

  const layout = join(temporaryDirectory(t), "layout");
  await writeImage(layout, "v1");
  for (const runtime of Object.keys(nodes) as Runtime[]) {
    await t.test(`runs its commands under ${runtime}`, async (t) => {
      assert.equal((await call(runtime, installed, "--version")).stdout, `stowage ${version}\n`);
      const { stdout: settings } = await call(runtime, installed, "settings");
      for (const name of variableNames) assert.match(settings, new RegExp(`^${name}$`, "m"));
      await whileServing(t, runtime === "Node 20" ? "Node 24" : runtime, installed, async (url) => {
        const { host } = new URL(url);
        const commands = (...args: string[]) => call(runtime, installed, ...args);
        assert.equal((await commands("health", "--url", url)).stdout, "ready\n");
        await commands("push", layout, `${host}/team/app:v1`);
        await commands("copy", `${host}/team/app:v1`, `${host}/team/copy`);
        assert.match((await commands("tag", "list", "team/copy", "--url", url)).stdout, /^v1 /m);
        await commands("gc", "--url", url);
      });
    });
  }

  await t.test("says in one line that a registry needs a newer Node than 20", async () => {
    await assert.rejects(
      call("Node 20", installed, "serve"),
      /ended with 1\nstowage: a registry needs Node 22\.13 or newer, or Deno, and this is Node 20\.[^\n]+\n$/,
    );
  });
});
