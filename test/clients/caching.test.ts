/**
 * docker, containerd and podman pull through the registry from distribution, the reference registry, and from
 * registries that want tokens: distribution, and Stowage itself.
 */
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
import { startTokenServer } from "./support/token-server.ts";

/** The name by which containerd and podman call the upstream. */
const alias = "upstream.example";

/** An upstream, who may push to it, and who may only pull; anybody where they are not given. */
interface Upstream {
  url: string;
  pusher?: string;
  puller?: { name: string; password: string };
}

type StartUpstream = (t: TestContext, directory: string) => Promise<Upstream>;

const openDistribution: StartUpstream = async (t, directory) => ({
  url: await startDistribution(t, join(directory, "upstream")),
});

/** Upstreams that want tokens, of each of which there is one account that may pull. */
const closedUpstreams: Record<string, StartUpstream> = {
  "distribution with a token service": async (t, directory) => {
    const [pusher, puller] = ["password of the pusher", "password of the puller"];
    const tokens = await startTokenServer(t, directory, {
      pusher: { password: pusher, actions: ["pull", "push"] },
      puller: { password: puller, actions: ["pull"] },
    });
    return {
      url: await startDistribution(t, join(directory, "upstream"), tokens),
      pusher: `pusher:${pusher}`,
      puller: { name: "puller", password: puller },
    };
  },
  "another Stowage": async (t) => {
    const admin = "password of the admin of the upstream";
    const { url } = await startServer(t, {
      data: temporaryDirectory(t),
      port: await freePort(),
      adminPassword: admin,
    });
    const puller = { name: "puller", password: "password of the puller" };
    const grants = [{ repository: "library/*", verbs: ["pull"] }];
    const made = await fetch(`${url}/api/v1/accounts/${puller.name}`, {
      method: "PUT",
      headers: {
        Authorization: `Basic ${Buffer.from(`admin:${admin}`).toString("base64")}`,
        "Content-Type": "application/json",
      },
      body: JSON.stringify({ password: puller.password, grants }),
    });
    assert.equal(made.status, 201);
    return { url, pusher: `admin:${admin}`, puller };
  },
};

/** An upstream with a multi-platform image `library/app:v1`, and a cache of it. */
async function startCache(
  t: TestContext,
  startUpstream: StartUpstream = openDistribution,
): Promise<{ server: Server; directory: string; digest: string }> {
  const directory = temporaryDirectory(t);
  const { url, pusher, puller } = await startUpstream(t, directory);
  const index = await writeIndex(join(directory, "index"), "v1");
  const to = `docker://${new URL(url).host}/library/app:v1`;
  await run("skopeo", [
    "copy",
    "--all",
    "--preserve-digests",
    "--dest-tls-verify=false",
    ...(pusher === undefined ? [] : ["--dest-creds", pusher]),
    `oci:${index.directory}:v1`,
    to,
  ]);
  const upstream = { id: "up", url, aliases: [alias], private: true, insecure: true, repositories: ["**"] };
  const server = await startServer(t, {
    data: temporaryDirectory(t),
    port: await freePort(),
    vars: { UPSTREAMS: JSON.stringify([upstream]) },
    env:
      puller === undefined
        ? {}
        : { UPSTREAM_UP_USERNAME: puller.name, UPSTREAM_UP_PASSWORD: puller.password },
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

for (const [what, startUpstream] of Object.entries(closedUpstreams)) {
  test(`docker pulls from ${what} by its account there`, async (t) => {
    if (!hasPrograms(t, ...dockerPrograms, "registry", "skopeo")) return;
    const docker = await startDocker(t);
    const { server, digest } = await startCache(t, startUpstream);
    const image = `${server.host}/up/library/app:v1`;
    for (let round = 0; round < 2; round++) {
      await docker(["pull", "--quiet", image]);
      await removeImages(docker, image);
    }
    assertOneChild(server, digest);
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
