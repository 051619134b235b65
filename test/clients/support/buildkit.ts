/** A BuildKit daemon of its own for a test. */
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { isAlive } from "../../../src/local/processes.ts";
import { until } from "../../local/program.ts";
import { afterTest, endAfterTest } from "../../support/ends.ts";
import { type Output, run } from "./programs.ts";

const stopMs = 10_000;

/** Runs BuildKit's command-line client against a daemon. Throws with the client's output if it fails. */
export type Buildctl = (...args: string[]) => Promise<Output>;

/** What a test needs for it. */
export const buildkitPrograms = ["root", "buildkitd", "buildctl", "runc"];

/**
 * Starts a daemon that reaches these registries over http; it ends after the test. `env`: what the client has besides,
 * such as where its credentials are.
 */
export async function startBuildkit(
  t: TestContext,
  hosts: readonly string[],
  env: Record<string, string> = {},
): Promise<Buildctl> {
  const directory = await mkdtemp(join(tmpdir(), "buildkit-"));
  afterTest(t, () => rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const address = `unix://${join(directory, "buildkitd.sock")}`;
  const config = join(directory, "buildkitd.toml");
  await writeFile(
    config,
    hosts.map((host) => `[registry."${host}"]\n  http = true\n  insecure = true\n`).join(""),
  );
  const logFile = join(directory, "log");
  const log = openSync(logFile, "w");
  const flags = ["--addr", address, "--root", join(directory, "root"), "--config", config];
  flags.push(
    "--oci-worker-snapshotter",
    "native",
    "--oci-worker-binary",
    "runc",
    "--containerd-worker=false",
  );
  const child = spawn("buildkitd", flags, { stdio: ["ignore", log, log] });
  const pid = child.pid ?? 0;
  endAfterTest(t, child, stopMs);
  const buildctl: Buildctl = (...args) => run("buildctl", ["--addr", address, ...args], { env });
  await until("the BuildKit daemon", async () => {
    if (!isAlive(pid)) throw new Error(`buildkitd ended:\n${await readFile(logFile, "utf8")}`);
    return await buildctl("debug", "workers").catch(() => undefined);
  });
  return buildctl;
}
