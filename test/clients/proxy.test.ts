/**
 * `stowage proxy` with stock clients, before a line that lets no body of more than 100,000,000 bytes through: what is
 * pushed through it is pulled back the same, and straight over the line no client gets it there.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDirectory, until } from "../local/program.ts";
import { platformBytes } from "../support/bounded-line.ts";
import { afterTest } from "../support/ends.ts";
import { buildkitPrograms, startBuildkit } from "./support/buildkit.ts";
import { containerdPrograms, importLayout, startContainerd } from "./support/containerd.ts";
import { Content } from "./support/content.ts";
import { buildImage, dockerPrograms, imageId, removeImages, startDocker } from "./support/docker.ts";
import { type Layout, layoutContents, writeImage } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { type ProxiedRegistry, startProxied } from "./support/proxy.ts";
import { freePort, startServer } from "./support/server.ts";

const megabyte = 1024 * 1024;
/** The sizes of the layers; STOWAGE_TEST_LAYERS_MB names others, such as 1024,300. */
const layerBytes = (process.env.STOWAGE_TEST_LAYERS_MB ?? "150,2")
  .split(",")
  .map((size) => Number(size) * megabyte);
const chunkBytes = 32 * megabyte;

async function start(t: TestContext): Promise<ProxiedRegistry & { directory: string; serverHost: string }> {
  const directory = temporaryDirectory(t);
  const data = join(directory, "data");
  await mkdir(data, { mode: 0o700 });

  const server = await startServer(t, { data, port: await freePort() });
  afterTest(t, () => server.stop());
  return { ...(await startProxied(t, server.url)), directory, serverHost: server.host };
}

type Started = Awaited<ReturnType<typeof start>>;

/** Checks that nothing too large went over the line, and that it went there at all. */
function wentInChunks({ line }: Started): void {
  assert(line.traffic.bodyBytes > layerBytes.reduce((sum, size) => sum + size, 0));
  assert(line.traffic.largestBody <= chunkBytes, `${line.traffic.largestBody} bytes in one request`);
}

/** A client packs its layers before it pushes them; such as there are in `npm run test:large` take minutes. */
const packedWithinMs = 600_000;

/** Checks that a client fails on the line itself, without the proxy; containerd tries for minutes. */
async function failsStraight({ line }: Started, push: () => Promise<unknown>): Promise<void> {
  assert(Math.max(...layerBytes) > platformBytes);
  const before = line.traffic.refused;
  const failed = assert.rejects(push);
  await Promise.race([failed, until("a refusal", () => line.traffic.refused > before, packedWithinMs)]);
  assert(line.traffic.refused > before);
  failed.catch(() => {});
}

async function pullsBack(started: Started, repository: string, layout: Layout): Promise<void> {
  const out = join(started.directory, `${repository}-out`);
  const from = `docker://${started.host}/${repository}:v1`;
  await run("skopeo", ["--insecure-policy", "copy", "--src-tls-verify=false", from, `oci:${out}:v1`]);
  assert.deepEqual(await layoutContents(out), await layoutContents(layout.directory));
}

const skopeo = (layout: Layout, tag: string, to: string) =>
  run("skopeo", [
    "--insecure-policy",
    "copy",
    "--dest-tls-verify=false",
    `oci:${layout.directory}:${tag}`,
    to,
  ]);

test("skopeo", async (t) => {
  if (!hasPrograms(t, "skopeo")) return;
  const started = await start(t);
  const layout = await writeImage(join(started.directory, "in"), "skopeo", layerBytes);
  await skopeo(layout, "skopeo", `docker://${started.host}/skopeo:v1`);
  wentInChunks(started);
  await pullsBack(started, "skopeo", layout);
  await failsStraight(started, () => skopeo(layout, "skopeo", `docker://${started.line.host}/straight:v1`));
});

test("crane", async (t) => {
  if (!hasPrograms(t, "crane", "skopeo")) return;
  const started = await start(t);
  const layout = await writeImage(join(started.directory, "in"), "crane", layerBytes);
  await run("crane", ["push", "--insecure", layout.directory, `${started.host}/crane:v1`]);
  wentInChunks(started);
  await pullsBack(started, "crane", layout);
  const straight = `${started.line.host}/straight:v1`;
  await failsStraight(started, () => run("crane", ["push", "--insecure", layout.directory, straight]));
});

test("podman", async (t) => {
  if (!hasPrograms(t, "root", "podman")) return;
  const started = await start(t);
  const { host, line } = started;
  // It takes a path for the name of an image, which has neither spaces nor capitals.
  const directory = join(tmpdir(), `stowage-podman-${process.pid}`);
  await mkdir(directory);
  afterTest(t, () => rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const storage = ["--root", join(directory, "root"), "--runroot", join(directory, "run")];
  const podman = (...args: string[]) => run("podman", [...storage, "--storage-driver", "vfs", ...args]);
  const layout = await writeImage(join(directory, "in"), "podman", layerBytes);
  const id = (await podman("pull", "--quiet", `oci:${layout.directory}:podman`)).stdout.trim();
  await podman("push", "--tls-verify=false", id, `${host}/podman:v1`);
  wentInChunks(started);
  await failsStraight(started, () => podman("push", "--tls-verify=false", id, `${line.host}/straight:v1`));
  await podman("image", "rm", "--force", id);
  const pulled = await podman("pull", "--quiet", "--tls-verify=false", `${host}/podman:v1`);
  assert.equal(pulled.stdout.trim(), id);
});

test("docker", async (t) => {
  if (!hasPrograms(t, ...dockerPrograms)) return;
  const started = await start(t);
  const { host, line } = started;
  const docker = await startDocker(t);
  const [image, straight] = [`${host}/docker:v1`, `${line.host}/straight:v1`];
  await buildImage(t, docker, image, layerBytes);
  const id = await imageId(docker, image);
  await docker(["push", image]);
  wentInChunks(started);
  await docker(["tag", image, straight]);
  await failsStraight(started, () => docker(["push", straight]));
  await removeImages(docker, image, straight);
  await docker(["pull", image]);
  assert.equal(await imageId(docker, image), id);
});

test("ctr", async (t) => {
  if (!hasPrograms(t, ...containerdPrograms, "skopeo")) return;
  const started = await start(t);
  const layout = await writeImage(join(started.directory, "in"), "ctr", layerBytes);
  const ctr = await startContainerd(t);
  const name = `${started.host}/ctr`;
  await importLayout(ctr, layout, name);
  await ctr("images", "push", "--plain-http", `${name}:v1`, `${name}:ctr`);
  wentInChunks(started);
  await pullsBack(started, "ctr", layout);
  const straight = `${started.line.host}/straight:v1`;
  await failsStraight(started, () => ctr("images", "push", "--plain-http", straight, `${name}:ctr`));
});

test("buildctl", async (t) => {
  if (!hasPrograms(t, ...buildkitPrograms)) return;
  const started = await start(t);
  const { directory, host, line } = started;
  const buildctl = await startBuildkit(t, [host, line.host]);
  const context = join(directory, "context");
  await mkdir(context);
  for (const [at, sizeBytes] of layerBytes.entries()) {
    await writeFile(join(context, `layer-${at}`), new Content(`buildctl ${at}`, sizeBytes).pieces());
  }
  const steps = layerBytes.map((_, at) => `COPY layer-${at} /layer-${at}`);
  await writeFile(join(context, "Dockerfile"), `FROM scratch\n${steps.join("\n")}\n`);
  const metadata = join(directory, "metadata.json");
  const push = async (name: string) => {
    const output = `type=image,name=${name},push=true,registry.insecure=true`;
    const local = ["--local", `context=${context}`, "--local", `dockerfile=${context}`];
    await buildctl(
      "build",
      "--frontend",
      "dockerfile.v0",
      ...local,
      "--output",
      output,
      "--metadata-file",
      metadata,
    );
    return JSON.parse(await readFile(metadata, "utf8"))["containerimage.digest"] as string;
  };
  // Before the registry has the layers: BuildKit mounts what it pushed to another repository.
  await failsStraight(started, () => push(`${line.host}/straight:v1`));
  const digest = await push(`${host}/buildctl:v1`);
  wentInChunks(started);
  const answer = await fetch(`http://${host}/v2/buildctl/manifests/v1`, { headers: { Accept: "*/*" } });
  assert.equal(answer.headers.get("Docker-Content-Digest"), digest);
});

/** The largest memory that a process had so far, in bytes. */
async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

test("ten cuts at random: the push ends well, and sends at most one chunk again for each", async (t) => {
  if (!hasPrograms(t, "skopeo")) return;
  const started = await start(t);
  const { line, host } = started;
  const layout = await writeImage(join(started.directory, "in"), "cuts", layerBytes);
  const all = layerBytes.reduce((sum, size) => sum + size, 0);
  line.cutAfter(Array.from({ length: 10 }, () => randomInt(all)));
  await skopeo(layout, "cuts", `docker://${host}/cuts:v1`);
  await pullsBack(started, "cuts", layout);
  const again = line.traffic.bodyBytes - all;
  t.diagnostic(`${line.traffic.cuts} cuts, ${again} bytes sent again`);
  assert.equal(line.traffic.cuts, 10);
  assert(again < 10 * chunkBytes + megabyte);
});

test("four pushes at once: the proxy's memory stays below 400 MB", async (t) => {
  if (!hasPrograms(t, "skopeo")) return;
  const started = await start(t);
  const [sizeBytes = 0] = layerBytes;
  const names = ["one", "two", "three", "four"];
  const layouts = await Promise.all(
    names.map((name) => writeImage(join(started.directory, name), name, [sizeBytes])),
  );
  await Promise.all(
    names.map(async (name, at) => {
      const layout = layouts[at];
      if (layout !== undefined) await skopeo(layout, name, `docker://${started.host}/${name}:v1`);
    }),
  );
  const peak = await peakBytes(started.pid);
  t.diagnostic(`${Math.round(peak / 1e6)} MB at most`);
  assert(peak < 400e6, `${peak} bytes`);
});
