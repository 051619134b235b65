/** A Docker daemon of its own for a test, and images to push. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { isAlive } from "../../../src/local/processes.ts";
import { temporaryDirectory, until } from "../../local/program.ts";
import { afterTest, endAfterTest, type Owner } from "../../support/ends.ts";
import { Content } from "./content.ts";
import { type Output, type RunOptions, run } from "./programs.ts";

const stopMs = 20_000;
/** Addresses of containers: none that a network around this machine is likely to have. */
const pool = "198.18.0.0/16";

/** Runs the docker command-line client against a daemon. Throws with the client's output if it fails. */
export type Docker = {
  (args: readonly string[], options?: Pick<RunOptions, "input" | "signal">): Promise<Output>;
  /** What other clients need to reach the same daemon. */
  readonly env: Record<string, string>;
};

/** What a test needs for a daemon. */
export const dockerPrograms = ["root", "docker", "dockerd"];

/** Starts a daemon; it ends, and what it stored is removed, after the test. */
export async function startDocker(t: Owner): Promise<Docker> {
  // A socket's path has little room, and dockerd minds spaces.
  const directory = await mkdtemp(join(tmpdir(), "dockerd-"));
  afterTest(t, async () => {
    // It leaves the network of containers mounted, if there were any.
    await run("umount", [join(directory, "exec", "netns", "default")]).catch(() => {});
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
  const socket = `unix://${join(directory, "docker.sock")}`;
  const logFile = join(directory, "log");
  const log = openSync(logFile, "w");
  const flags = ["--iptables=false", "--bridge=none", "--data-root", join(directory, "data")];
  flags.push("--exec-root", join(directory, "exec"), "--pidfile", join(directory, "pid"), "--host", socket);
  flags.push(`--default-address-pool=base=${pool},size=24`);
  const child = spawn("dockerd", flags, { stdio: ["ignore", log, log] });
  const pid = child.pid ?? 0;
  endAfterTest(t, child, stopMs);
  const env = { DOCKER_BUILDKIT: "0", DOCKER_CONFIG: join(directory, "config"), DOCKER_HOST: socket };
  const docker = Object.assign(
    (args: readonly string[], options?: Pick<RunOptions, "input" | "signal">) =>
      run("docker", args, { env, ...options }),
    { env },
  );
  await until("the Docker daemon", async () => {
    if (!isAlive(pid)) throw new Error(`dockerd ended:\n${await readFile(logFile, "utf8")}`);
    return await docker(["version"]).catch(() => undefined);
  });
  return docker;
}

/**
 * Builds an image `FROM scratch` with random layers.
 *
 * @param layerBytes the size of each layer
 */
export async function buildImage(
  t: TestContext,
  docker: Docker,
  name: string,
  layerBytes: readonly number[],
): Promise<void> {
  const directory = join(temporaryDirectory(t), "image");
  await mkdir(directory);
  const steps: string[] = [];
  for (const [index, sizeBytes] of layerBytes.entries()) {
    const file = `layer-${index}`;
    await writeFile(join(directory, file), new Content(`${name} ${file}`, sizeBytes).pieces());
    steps.push(`COPY ${file} /${file}`);
  }
  await writeFile(join(directory, "Dockerfile"), `FROM scratch\n${steps.join("\n")}\n`);
  await docker(["build", "--quiet", "--tag", name, directory]);
}

/** The id of an image, `sha256:…`. */
export async function imageId(docker: Docker, name: string): Promise<string> {
  const { stdout } = await docker(["image", "inspect", "--format", "{{.Id}}", name]);
  return stdout.trim();
}

/** Removes images, all tags of each, and makes sure that nothing of them is left. */
export async function removeImages(docker: Docker, ...names: string[]): Promise<void> {
  await docker(["image", "rm", "--force", ...names]);
  await docker(["image", "prune", "--force", "--all"]);
  const { stdout } = await docker(["image", "ls", "--all", "--quiet"]);
  assert.equal(stdout, "");
}
