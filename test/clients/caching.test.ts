/** docker, containerd and podman pull through the registry from distribution, the reference registry. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDirectory, until } from "../local/program.ts";
import { containerdPrograms, startContainerd } from "./support/containerd.ts";
import { startDistribution } from "./support/distribution.ts";
import { dockerPrograms, removeImages, startDocker } from "./support/docker.ts";
import { writeIndex } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { freePort, type Server, startServer } from "./support/server.ts";

/** The name by which containerd and podman call the upstream. */
const alias = "upstream.example";

/** An upstream with a multi-platform image `library/app:v1`, and a cache of it. */
async function startCache(t: TestContext): Promise<{ server: Server; directory: string; digest: string }> {
  const directory = temporaryDirectory(t);
  const url = await startDistribution(t, join(directory, "upstream"));
  const index = await writeIndex(join(directory, "index"), "v1");
  const to = `docker://${new URL(url).host}/library/app:v1`;
  await run("skopeo", [
    "copy",
    "--all",
    "--preserve-digests",
    "--dest-tls-verify=false",
    `oci:${index.directory}:v1`,
    to,
  ]);
  const upstream = { id: "up", url, aliases: [alias], private: true, insecure: true };
  const server = await startServer(t, {
    data: temporaryDirectory(t),
    port: await freePort(),
    vars: { UPSTREAMS: JSON.stringify([upstream]) },
  });
  return { server, directory, digest: index.entry.digest };
}

/** The manifests that clients were given, each once: the index, and those of its images that were asked for. */
function manifestsServed(server: Server): Set<string> {
  const served = server.requests().filter(({ route, status }) => route === "manifest" && status === 200);
  return new Set(served.flatMap(({ reference }) => (reference?.startsWith("sha256:") ? [reference] : [])));
}

/** Asserts that one platform of the index was asked for, and no other. */
function assertOneChild(server: Server, digest: string): void {
  const served = manifestsServed(server);
  served.delete(digest);
  assert.equal(served.size, 1, [...served].join(" "));
}

test("docker pulls by the full name", async (t) => {
  if (!hasPrograms(t, ...dockerPrograms, "registry", "skopeo")) return;
  const docker = await startDocker(t);
  const { server, digest } = await startCache(t);
  const image = `${server.host}/up/library/app:v1`;
  for (let round = 0; round < 2; round++) {
    await docker(["pull", "--quiet", image]);
    await removeImages(docker, image);
  }
  assertOneChild(server, digest);
});

const hosts = {
  "a mirror, with ?ns=": (server: Server) => `[host."${server.url}"]\n  capabilities = ["pull", "resolve"]\n`,
  "a path, with override_path": (server: Server) =>
    `[host."${server.url}/v2/up"]\n  capabilities = ["pull", "resolve"]\n  override_path = true\n`,
};

for (const [how, hostOf] of Object.entries(hosts)) {
  test(`containerd pulls from ${how}`, async (t) => {
    if (!hasPrograms(t, ...containerdPrograms, "registry", "skopeo")) return;
    const ctr = await startContainerd(t);
    const { server, directory, digest } = await startCache(t);
    await mkdir(join(directory, "hosts", alias), { recursive: true });
    await writeFile(
      join(directory, "hosts", alias, "hosts.toml"),
      `server = "${server.url}"\n\n${hostOf(server)}`,
    );
    const image = `${alias}/library/app:v1`;
    const pull = () =>
      ctr("images", "pull", "--hosts-dir", join(directory, "hosts"), "--snapshotter", "native", image);
    await pull();
    assertOneChild(server, digest);
    const requests = server.requests();
    assert(requests.every(({ repository }) => repository === undefined || repository === "up/library/app"));
    await ctr("images", "rm", "--sync", image);
    await until("the end of its content", async () => (await ctr("content", "ls", "--quiet")).stdout === "");
    await pull();
  });
}

test("podman pulls by a prefix that leads to the cache", async (t) => {
  if (!hasPrograms(t, "root", "podman", "registry", "skopeo")) return;
  const { server, directory, digest } = await startCache(t);
  const conf = join(directory, "registries.conf");
  const location = `${server.host}/up`;
  await writeFile(conf, `[[registry]]\nprefix = "${alias}"\nlocation = "${location}"\ninsecure = true\n`);
  const storage = ["--root", join(directory, "root"), "--runroot", join(directory, "run")];
  const podman = (...args: string[]) =>
    run("podman", [...storage, "--storage-driver", "vfs", ...args], {
      env: { CONTAINERS_REGISTRIES_CONF: conf },
    });
  for (let round = 0; round < 2; round++) {
    const { stdout } = await podman("pull", "--quiet", `${alias}/library/app:v1`);
    await podman("image", "rm", "--force", stdout.trim());
  }
  assertOneChild(server, digest);
});
