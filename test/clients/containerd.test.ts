/** containerd: pushes with one POST and one PUT a blob, and pulls. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { hasEnded, isAlive, signal } from "../../src/local/processes.ts";
import { temporaryDirectory, until } from "../local/program.ts";
import { writeLayout } from "./support/oci-layout.ts";
import { hasPrograms, type Output, run } from "./support/programs.ts";
import { freePort, startServer } from "./support/server.ts";

const stopMs = 10_000;

/** Starts a containerd of its own; returns its command-line client. */
async function startContainerd(t: TestContext): Promise<(...args: string[]) => Promise<Output>> {
  const directory = await mkdtemp(join(tmpdir(), "containerd-"));
  const address = join(directory, "containerd.sock");
  const config = join(directory, "config.toml");
  // Only what stores and unpacks images.
  await writeFile(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n');
  const logFile = join(directory, "log");
  const log = openSync(logFile, "w");
  const flags = ["--config", config, "--root", join(directory, "root"), "--state", join(directory, "state")];
  const child = spawn("containerd", [...flags, "--address", address], { stdio: ["ignore", log, log] });
  const pid = child.pid ?? 0;
  t.after(async () => {
    signal(pid, "SIGTERM");
    if (!(await hasEnded(pid, stopMs))) signal(pid, "SIGKILL");
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
  const ctr = (...args: string[]) => run("ctr", ["--address", address, "--namespace", "test", ...args]);
  await until("containerd", async () => {
    if (!isAlive(pid)) throw new Error(`containerd ended:\n${await readFile(logFile, "utf8")}`);
    return await ctr("version").catch(() => undefined);
  });
  return ctr;
}

test("ctr pushes an image and pulls it again", async (t) => {
  if (!hasPrograms(t, "root", "containerd", "ctr", "tar")) return;
  const directory = temporaryDirectory(t);
  const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort() });
  const layout = await writeLayout(join(directory, "in"), "v1");
  const archive = join(directory, "image.tar");
  await run("tar", ["-C", layout.directory, "-cf", archive, "."]);
  const ctr = await startContainerd(t);
  const name = `${server.host}/containerd/image`;
  const image = `${name}:v1`;
  const digestOf = async (reference: string) => {
    const { stdout } = await ctr("images", "ls", `name==${reference}`);
    return /sha256:[0-9a-f]{64}/.exec(stdout)?.[0];
  };
  await ctr("images", "import", "--no-unpack", "--all-platforms", "--base-name", name, archive);
  assert.equal(await digestOf(image), layout.index.digest);
  await ctr("images", "push", "--plain-http", image);

  await ctr("images", "rm", "--sync", image);
  await ctr("content", "prune", "references").catch(() => {});
  assert.equal(await digestOf(image), undefined);
  await ctr("images", "pull", "--plain-http", "--all-platforms", "--snapshotter", "native", image);
  assert.equal(await digestOf(image), layout.index.digest);
  const { stdout } = await ctr("images", "check", "--snapshotter", "native", `name==${image}`);
  assert.match(stdout, /complete \((\d+)\/\1\)/);

  const byDigest = `${name}@${layout.index.digest}`;
  await ctr("images", "pull", "--plain-http", "--snapshotter", "native", byDigest);
  assert.equal(await digestOf(byDigest), layout.index.digest);
  await server.stop();
});
