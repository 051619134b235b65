/** The Compose files: what they ask for, and the registry behind Caddy as docker compose runs it. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { projectDirectory } from "../../scripts/release/places.ts";
import { parseFlags } from "../../src/local/flags.ts";
import { version } from "../../src/version.ts";
import { buildImage, type Docker, dockerPrograms, imageId, startDocker } from "../clients/support/docker.ts";
import { hasPrograms, run } from "../clients/support/programs.ts";
import { freePort } from "../clients/support/server.ts";
import { temporaryDirectory } from "../local/program.ts";
import { afterTest } from "../support/ends.ts";
import { imageArchive } from "./support/artefacts.ts";
import { caddyImage, makeCaddyImage } from "./support/base-image.ts";

const folder = join(projectDirectory, "deploy", "compose");
const password = "correct horse battery staple";
const cached = ["compose.yaml", "compose.cache.yaml"];

type Service = { image: string; command: string[]; user?: string } & Record<string, unknown>;

for (const names of [["compose.yaml"], cached]) {
  test(`the registry of ${names.join(" with ")} is confined, and starts with flags that there are`, async (t) => {
    if (!hasPrograms(t, "docker-compose")) return;
    const files = names.flatMap((name) => ["--file", join(folder, name)]);
    const env = { REGISTRY_HOST: "registry.example.org" };
    const { stdout } = await run("docker-compose", [...files, "config", "--format", "json"], { env });
    const { registry }: { registry: Service } = JSON.parse(stdout).services;
    assert.equal(registry.image, `stowage:${version}`);
    assert.deepEqual([registry.read_only, registry.cap_drop], [true, ["ALL"]]);
    assert.deepEqual(registry.security_opt, ["no-new-privileges:true"]);
    // The image's own, which is not root.
    assert.equal(registry.user, undefined);
    const [command, ...flags] = registry.command;
    assert.equal(command, "serve");
    const parsed = parseFlags(flags, { ADMIN_PASSWORD: "as the secret has it" });
    assert(parsed.ok && parsed.kind === "flags", JSON.stringify(parsed));
    assert.equal(parsed.flags.vars.PUBLIC_URL, "https://registry.example.org");
    assert.equal(
      flags.some((flag) => flag.startsWith("--var=UPSTREAMS=")),
      names === cached,
    );
  });
}

/** The folder of a user who has taken the files of deploy/compose, with a port that anybody may take, and without long waits. */
class Deployment {
  readonly #directory: string;
  readonly #docker: Docker;
  readonly host: string;

  constructor(t: TestContext, docker: Docker, port: number) {
    this.#directory = join(temporaryDirectory(t), "compose");
    this.#docker = docker;
    this.host = `localhost:${port}`;
    cpSync(folder, this.#directory, { recursive: true });
    writeFileSync(join(this.#directory, "admin_password"), `${password}\n`);
    this.write(
      "here.yaml",
      `services:
  registry: { healthcheck: { interval: 1s } }
  proxy: { ports: !override ["127.0.0.1:${port}:443"] }
`,
    );
    // What is left when a test fails.
    afterTest(t, () => this.compose(["compose.yaml"], "down", "--volumes").catch(() => {}));
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.#directory, name), text);
  }

  read(name: string): string {
    return readFileSync(join(this.#directory, name), "utf8");
  }

  /** Runs docker compose with some of the files. */
  async compose(names: readonly string[], ...args: string[]): Promise<string> {
    const files = [...names, "here.yaml"].flatMap((name) => ["--file", join(this.#directory, name)]);
    const env = { ...this.#docker.env, REGISTRY_HOST: "localhost", CADDY_IMAGE: caddyImage };
    return (await run("docker-compose", [...files, "--progress", "quiet", ...args], { env })).stdout;
  }

  /** Starts what is not as the files say, and waits until all of it is healthy. */
  async up(...names: string[]): Promise<void> {
    await this.compose(names, "up", "--detach", "--wait", "--wait-timeout", "60");
  }

  /** The command line in the registry's container. */
  async stowage(...args: string[]): Promise<string> {
    const exec = ["exec", "-T", "--env", `STOWAGE_PASSWORD=${password}`, "registry", "stowage"];
    return await this.compose(["compose.yaml"], ...exec, ...args);
  }
}

test("docker compose runs the registry behind Caddy", async (t) => {
  if (!hasPrograms(t, ...dockerPrograms, "docker-compose", "caddy")) return;
  const docker = await startDocker(t);
  await docker(["load", "--input", imageArchive()]);
  await makeCaddyImage(t, docker);
  const deployment = new Deployment(t, docker, await freePort());
  const image = `${deployment.host}/team/app:v1`;
  await buildImage(t, docker, image, [100_000]);
  const id = await imageId(docker, image);

  const pullsBack = async () => {
    await docker(["image", "rm", image]);
    await docker(["pull", "--quiet", image]);
    assert.equal(await imageId(docker, image), id);
  };

  await t.test("docker logs in, pushes and pulls through it", async () => {
    await deployment.up("compose.yaml");
    await docker(["login", "--username", "admin", "--password-stdin", deployment.host], { input: password });
    await docker(["push", "--quiet", image]);
    await pullsBack();
    assert.match(await deployment.stowage("tag", "list", "team/app"), /^v1 /m);
    // Behind the proxy it is the client that the registry sees, and https.
    const log = await deployment.compose(["compose.yaml"], "logs", "--no-log-prefix", "registry");
    assert.match(log, /"method":"PUT".*"repository":"team\/app"/);
  });

  await t.test("a new image takes the data of the one before", async () => {
    const next = "stowage:next";
    await docker(["build", "--quiet", "--tag", next, "-"], {
      input: `FROM stowage:${version}\nLABEL release=next\n`,
    });
    const before = await deployment.compose(["compose.yaml"], "ps", "--quiet", "registry");
    deployment.write("compose.yaml", deployment.read("compose.yaml").replace(`stowage:${version}`, next));
    await deployment.up("compose.yaml");
    assert.notEqual(await deployment.compose(["compose.yaml"], "ps", "--quiet", "registry"), before);
    await pullsBack();
  });

  await t.test("with the second file it is a cache of Docker Hub as well", async () => {
    await deployment.up(...cached);
    await pullsBack();
    assert.match(await deployment.stowage("upstream", "list"), /\bdockerhub\b/);
  });

  await t.test("what is taken down keeps its data, until the volumes are removed", async () => {
    await deployment.compose(["compose.yaml"], "down");
    assert.equal((await docker(["ps", "--all", "--quiet"])).stdout, "");
    await deployment.up("compose.yaml");
    await pullsBack();
    await deployment.compose(["compose.yaml"], "down", "--volumes");
    assert.equal((await docker(["volume", "ls", "--quiet"])).stdout, "");
  });
});
