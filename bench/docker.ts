/** docker, with a daemon of its own: to push what a person pushes. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const startMs = 30_000;

/** A running daemon, and its client. */
export interface Docker extends AsyncDisposable {
  run(...args: string[]): Promise<string>;
  /** Builds an image of so many random layers. */
  build(name: string, layers: number, layerBytes: number): Promise<void>;
}

/** Whether docker and its daemon are installed, and may be started. */
export function hasDocker(): boolean {
  try {
    execFileSync("dockerd", ["--version"], { stdio: "ignore" });
    execFileSync("docker", ["--version"], { stdio: "ignore" });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

/** Starts a daemon with an empty store, which is removed in the end. */
export async function startDocker(): Promise<Docker> {
  // A socket's path has little room.
  const folder = await mkdtemp(join(tmpdir(), "dockerd-"));
  const host = `unix://${join(folder, "docker.sock")}`;
  const flags = ["--iptables=false", "--bridge=none", "--data-root", join(folder, "data"), "--host", host];
  flags.push("--exec-root", join(folder, "exec"), "--pidfile", join(folder, "pid"));
  const daemon = spawn("dockerd", flags, { stdio: "ignore" });
  const ended = once(daemon, "exit");
  const env = { ...process.env, DOCKER_BUILDKIT: "0", DOCKER_CONFIG: join(folder, "config") };
  const run = async (...args: string[]) =>
    (await promisify(execFile)("docker", ["--host", host, ...args], { env })).stdout;
  const end = async () => {
    daemon.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  const deadline = Date.now() + startMs;
  for (;;) {
    const isUp = await run("version").then(
      () => true,
      () => false,
    );
    if (isUp) break;
    if (daemon.exitCode !== null || Date.now() > deadline) {
      await end();
      throw new Error("dockerd does not start");
    }
    await delay(100);
  }
  return {
    run,
    build: async (name, layers, layerBytes) => {
      const context = await mkdtemp(join(folder, "image-"));
      const steps = ["FROM scratch"];
      for (let layer = 0; layer < layers; layer++) {
        await writeFile(join(context, `layer-${layer}`), crypto.getRandomValues(new Uint8Array(layerBytes)));
        steps.push(`COPY layer-${layer} /layer-${layer}`);
      }
      await writeFile(join(context, "Dockerfile"), `${steps.join("\n")}\n`);
      await run("build", "--quiet", "--tag", name, context);
    },
    [Symbol.asyncDispose]: end,
  };
}
