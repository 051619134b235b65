/** A containerd of its own for a test, without docker around it. */
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { isAlive } from "../../../src/local/processes.ts";
import { until } from "../../local/program.ts";
import { afterTest, endAfterTest } from "../../support/ends.ts";
import type { Layout } from "./oci-layout.ts";
import { type Output, run } from "./programs.ts";

const stopMs = 10_000;

/** Runs containerd's command-line client against a daemon. Throws with the client's output if it fails. */
export type Ctr = (...args: string[]) => Promise<Output>;

/** What a test needs for it. */
export const containerdPrograms = ["root", "containerd", "ctr", "tar"];

/** Starts a daemon, which ends after the test; returns its client. */
export async function startContainerd(t: TestContext): Promise<Ctr> {
  const directory = await mkdtemp(join(tmpdir(), "containerd-"));
  afterTest(t, () => rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const address = join(directory, "containerd.sock");
  const config = join(directory, "config.toml");
  // Only what stores and unpacks images.
  await writeFile(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n');
  const logFile = join(directory, "log");
  const log = openSync(logFile, "w");
  const flags = ["--config", config, "--root", join(directory, "root"), "--state", join(directory, "state")];
  const child = spawn("containerd", [...flags, "--address", address], { stdio: ["ignore", log, log] });
  const pid = child.pid ?? 0;
  endAfterTest(t, child, stopMs);
  // A client whose daemon has gone would try for minutes.
  const clients = new AbortController();
  afterTest(t, () => clients.abort());
  const ctr: Ctr = (...args) =>
    run("ctr", ["--address", address, "--namespace", "test", ...args], { signal: clients.signal });
  await until("containerd", async () => {
    if (!isAlive(pid)) throw new Error(`containerd ended:\n${await readFile(logFile, "utf8")}`);
    return await ctr("version").catch(() => undefined);
  });
  return ctr;
}

/**
 * Loads what a layout holds into the daemon.
 *
 * @param name what its image is called there; the layout's tag is appended
 */
export async function importLayout(ctr: Ctr, { directory }: Layout, name: string): Promise<void> {
  const archive = `${directory}.tar`;
  await run("tar", ["-C", directory, "-cf", archive, "."]);
  await ctr("images", "import", "--no-unpack", "--all-platforms", "--base-name", name, archive);
}
