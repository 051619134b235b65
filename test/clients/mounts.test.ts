/**
 * Pushes of what another repository of the registry has already: with authentication on, each client asks for a token
 * that may pull from there, and mounts the layers instead of sending them.
 */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDirectory } from "../local/program.ts";
import { afterTest } from "../support/ends.ts";
import { type ClosedServer, type Credential, startClosedServer } from "./support/closed-server.ts";
import { containerdPrograms, importLayout, startContainerd } from "./support/containerd.ts";
import { buildImage, dockerPrograms, startDocker } from "./support/docker.ts";
import { writeImage } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";

const layers = [20_000, 30_000, 10_000];

/** A server, somebody who may push to it, and where an image is pushed first and then once more. */
interface Place {
  t: TestContext;
  server: ClosedServer;
  as: Credential;
  directory: string;
  first: string;
  second: string;
}

/** Pushes an image of {@link layers} to the first repository, then to the second. */
type PushTwice = (place: Place) => Promise<void>;

const byCrane: PushTwice = async ({ server, as, directory, first, second }) => {
  const env = { DOCKER_CONFIG: join(directory, "docker") };
  const layout = await writeImage(join(directory, "image"), "v1", layers);
  await run("crane", ["auth", "login", server.host, "-u", as.name, "-p", as.password], { env });
  await run("crane", ["push", layout.directory, `${first}:v1`], { env });
  await run("crane", ["copy", `${first}:v1`, `${second}:v1`], { env });
};

const byRegctl: PushTwice = async ({ server, as, directory, first, second }) => {
  const env = { REGCTL_CONFIG: join(directory, "regctl.json") };
  const layout = await writeImage(join(directory, "image"), "v1", layers);
  await run("regctl", ["registry", "set", server.host, "--tls", "disabled", "--skip-check"], { env });
  const login = ["registry", "login", server.host, "-u", as.name, "--pass-stdin"];
  await run("regctl", login, { env, input: as.password });
  await run("regctl", ["image", "copy", `ocidir://${layout.directory}:v1`, `${first}:v1`], { env });
  await run("regctl", ["image", "copy", `${first}:v1`, `${second}:v1`], { env });
};

const bySkopeo: PushTwice = async ({ as, directory, first, second }) => {
  const layout = await writeImage(join(directory, "image"), "v1", layers);
  const credentials = `${as.name}:${as.password}`;
  const into = ["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", credentials];
  const outOf = ["--src-tls-verify=false", "--src-creds", credentials];
  await run("skopeo", [...into, `oci:${layout.directory}:v1`, `docker://${first}:v1`]);
  await run("skopeo", [...into, ...outOf, `docker://${first}:v1`, `docker://${second}:v1`]);
};

const byPodman: PushTwice = async ({ t, as, first, second }) => {
  // It makes the path a part of an image's name, which knows no spaces and no capital letters.
  const directory = join(tmpdir(), `stowage-mounts-${process.pid}`);
  await mkdir(directory);
  afterTest(t, () => rm(directory, { recursive: true, force: true }));
  const storage = ["--root", join(directory, "root"), "--runroot", join(directory, "run")];
  const podman = (...args: string[]) => run("podman", [...storage, "--storage-driver", "vfs", ...args]);
  const layout = await writeImage(join(directory, "image"), "v1", layers);
  const id = (await podman("pull", "--quiet", `oci:${layout.directory}:v1`)).stdout.trim();
  for (const name of [first, second]) {
    await podman("push", "--tls-verify=false", "--creds", `${as.name}:${as.password}`, id, `${name}:v1`);
  }
};

const byContainerd: PushTwice = async ({ t, as, directory, first, second }) => {
  const ctr = await startContainerd(t);
  const layout = await writeImage(join(directory, "image"), "v1", layers);
  const flags = ["--plain-http", "--user", `${as.name}:${as.password}`];
  await importLayout(ctr, layout, first);
  await ctr("images", "push", ...flags, `${first}:v1`);
  // Where content is from it knows of what it has pulled.
  await ctr("images", "rm", "--sync", `${first}:v1`);
  await ctr("images", "pull", ...flags, "--snapshotter", "native", `${first}:v1`);
  await ctr("images", "push", ...flags, `${second}:v1`, `${first}:v1`);
};

const byDocker: PushTwice = async ({ t, server, as, first, second }) => {
  const docker = await startDocker(t);
  await buildImage(t, docker, `${first}:v1`, layers);
  await docker(["login", "-u", as.name, "--password-stdin", server.host], { input: as.password });
  await docker(["push", `${first}:v1`]);
  await docker(["tag", `${first}:v1`, `${second}:v1`]);
  await docker(["push", `${second}:v1`]);
};

const clients: [name: string, programs: readonly string[], pushTwice: PushTwice][] = [
  ["crane", ["crane"], byCrane],
  ["regctl", ["regctl"], byRegctl],
  ["skopeo", ["skopeo"], bySkopeo],
  ["podman", ["root", "podman"], byPodman],
  ["containerd", containerdPrograms, byContainerd],
  ["docker", dockerPrograms, byDocker],
];

for (const [name, programs, pushTwice] of clients) {
  test(`${name} mounts what it does not have to send`, async (t) => {
    if (!hasPrograms(t, ...programs)) return;
    const server = await startClosedServer(t);
    const as = await server.account("mounter", [
      { repository: "first/*", verbs: ["pull", "push"] },
      { repository: "second/*", verbs: ["pull", "push"] },
    ]);
    const [first, second] = [`${server.host}/first/image`, `${server.host}/second/image`];
    await pushTwice({ t, server, as, directory: temporaryDirectory(t), first, second });
    const opened = server
      .requests()
      .filter(({ route, repository }) => route === "uploads" && repository === "second/image");
    const mounted = opened.filter(({ status }) => status === 201);
    assert(mounted.length >= layers.length, JSON.stringify(opened.map(({ status }) => status)));
    const [, ...parts] = await server.contents("second/image", "v1");
    assert(parts.length >= layers.length);
    await server.stop();
  });
}
