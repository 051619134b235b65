/**
 * Pushes over a slow line that take longer than the token lives with which they began.
 *
 * crane gets another token whenever one is refused. The others rely on the time that a token is said to live, and take
 * less than a minute for a minute, as docker's token specification asks registries never to give less. So a shorter
 * TOKEN_TTL fails their long pushes at the first request after the upload, and they are tried with a minute.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDirectory } from "../local/program.ts";
import { type ClosedServer, type Credential, startClosedServer } from "./support/closed-server.ts";
import { containerdPrograms, importLayout, startContainerd } from "./support/containerd.ts";
import { buildImage, dockerPrograms, imageId, startDocker } from "./support/docker.ts";
import { type Layout, layoutContents, writeImage } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { startSlowLine } from "./support/slow-line.ts";

const bytesPerSecond = 100_000;
const smallLayerBytes = 1000;

/** A server whose tokens live for a few seconds, a slow line to it, and somebody who may push. */
interface SlowRegistry {
  server: ClosedServer;
  ttlSeconds: number;
  /** The line's address, which clients take for the registry's. */
  host: string;
  as: Credential;
  directory: string;
}

async function startSlowRegistry(t: TestContext, ttlSeconds: number): Promise<SlowRegistry> {
  const server = await startClosedServer(t, { TOKEN_TTL: `${ttlSeconds}s` });
  const as = await server.account("slow", [{ repository: "slow/**", verbs: ["pull", "push"] }]);
  const host = await startSlowLine(t, server.host, bytesPerSecond);
  return { server, ttlSeconds, host, as, directory: temporaryDirectory(t) };
}

/** Layers of which the first one outlives the token, and the next ones come after it. */
function longLayers({ ttlSeconds }: SlowRegistry, lives: number): number[] {
  return [ttlSeconds * lives * bytesPerSecond, smallLayerBytes, smallLayerBytes];
}

/** Pushes, and checks that it took longer than a token lives. */
async function outlivesToken({ ttlSeconds }: SlowRegistry, push: () => Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  await push();
  assert(performance.now() - startMs > ttlSeconds * 1000);
}

/** Each client has an image of its own: a layer that is in the registry already would be mounted. */
function writeOwnImage(registry: SlowRegistry, client: string, lives: number): Promise<Layout> {
  return writeImage(join(registry.directory, client), client, longLayers(registry, lives));
}

async function arrived({ server }: SlowRegistry, repository: string, layout: Layout): Promise<void> {
  const contents = await server.contents(repository, "v1");
  assert.deepEqual(contents, await layoutContents(layout.directory));
}

async function craneFinishes(registry: SlowRegistry): Promise<void> {
  const { host, as, directory } = registry;
  const layout = await writeOwnImage(registry, "crane", 3);
  const env = { DOCKER_CONFIG: join(directory, "docker") };
  await run("crane", ["auth", "login", host, "-u", as.name, "-p", as.password], { env });
  const image = `${host}/slow/crane:v1`;
  await outlivesToken(registry, () => run("crane", ["push", layout.directory, image], { env }));
  await arrived(registry, "slow/crane", layout);
}

async function regctlFinishes(registry: SlowRegistry): Promise<void> {
  const { host, as, directory } = registry;
  const layout = await writeOwnImage(registry, "regctl", 1.1);
  const env = { REGCTL_CONFIG: join(directory, "regctl.json") };
  await run("regctl", ["registry", "set", host, "--tls", "disabled", "--skip-check"], { env });
  const login = ["registry", "login", host, "-u", as.name, "--pass-stdin"];
  await run("regctl", login, { env, input: as.password });
  const copy = ["image", "copy", `ocidir://${layout.directory}:regctl`, `${host}/slow/regctl:v1`];
  await outlivesToken(registry, () => run("regctl", copy, { env }));
  await arrived(registry, "slow/regctl", layout);
}

async function skopeoFinishes(registry: SlowRegistry): Promise<void> {
  const { host, as } = registry;
  const layout = await writeOwnImage(registry, "skopeo", 1.1);
  const flags = ["--insecure-policy", "--dest-tls-verify=false", "--dest-creds", `${as.name}:${as.password}`];
  const image = `docker://${host}/slow/skopeo:v1`;
  await outlivesToken(registry, () =>
    run("skopeo", ["copy", ...flags, `oci:${layout.directory}:skopeo`, image]),
  );
  await arrived(registry, "slow/skopeo", layout);
}

async function containerdFinishes(registry: SlowRegistry, t: TestContext): Promise<void> {
  const { host, as } = registry;
  const layout = await writeOwnImage(registry, "containerd", 1.1);
  const ctr = await startContainerd(t);
  const name = `${host}/slow/containerd`;
  await importLayout(ctr, layout, name);
  const flags = ["--plain-http", "--user", `${as.name}:${as.password}`];
  await outlivesToken(registry, () => ctr("images", "push", ...flags, `${name}:v1`, `${name}:containerd`));
  await arrived(registry, "slow/containerd", layout);
}

async function dockerFinishes(registry: SlowRegistry, t: TestContext): Promise<void> {
  const { host, as, server } = registry;
  const docker = await startDocker(t);
  const image = `${host}/slow/docker:v1`;
  await buildImage(t, docker, image, longLayers(registry, 1.1));
  await docker(["login", "-u", as.name, "--password-stdin", host], { input: as.password });
  await outlivesToken(registry, () => docker(["push", image]));
  assert((await server.contents("slow/docker", "v1")).includes(await imageId(docker, image)));
}

test("a push that takes three lives of its token (TOKEN_TTL=5s) finishes", async (t) => {
  if (!hasPrograms(t, "crane")) return;
  const registry = await startSlowRegistry(t, 5);
  await t.test("with crane", () => craneFinishes(registry));
  await registry.server.stop();
});

test("a push that outlives a token of a minute finishes", { concurrency: true }, async (t) => {
  if (!hasPrograms(t, ...dockerPrograms, ...containerdPrograms, "skopeo", "regctl")) return;
  const registry = await startSlowRegistry(t, 60);
  await Promise.all([
    t.test("with docker", (t) => dockerFinishes(registry, t)),
    t.test("with containerd", (t) => containerdFinishes(registry, t)),
    t.test("with skopeo", () => skopeoFinishes(registry)),
    t.test("with regctl", () => regctlFinishes(registry)),
  ]);
  await registry.server.stop();
});
