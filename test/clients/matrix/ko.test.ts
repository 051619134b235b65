/** ko: builds images of Go programs, and pushes them without a daemon. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { type Descriptor, writeIndex } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

/** What an index says. */
type Index = { manifests: Descriptor[]; annotations?: Record<string, string> };

const platforms = ["linux/amd64", "linux/arm64"];

test("ko", async (t) => {
  const client = await startClient(t, {
    name: "ko",
    programs: ["ko", "go", "crane"],
    version: ["ko", "version"],
    credential: "token",
    lacks: {
      list: "it has no command that lists what a registry has",
      delete: "it has no command that deletes in a registry",
    },
    surprises: [
      "`ko login` does not ask the registry: a wrong password shows at the first build after it.",
      "It mounts the layers of its base image, if that is in the same registry.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const docker = join(directory, "config");
  const program = join(directory, "program");
  await mkdir(program);
  await writeFile(join(program, "go.mod"), "module example.org/program\n\ngo 1.21\n");
  await writeFile(join(program, "main.go"), "package main\n\nfunc main() {}\n");
  const ko = (args: string[], env: Record<string, string> = {}) =>
    run("env", ["-C", program, "ko", ...args], {
      env: { DOCKER_CONFIG: docker, GOFLAGS: "-mod=mod", ...env },
    });
  const login = (password: string) =>
    run("ko", ["login", server.host, "--username", as.name, "--password-stdin"], {
      env: { DOCKER_CONFIG: docker },
      input: password,
    });
  const base = client.image("base");
  /** Builds the program on a base image, and returns the name of what it pushed. */
  const build = async (to: string, from: string, tag: string, ...flags: string[]) => {
    const every = ["build", ".", "--bare", "--tags", tag, "--platform", platforms.join(), ...flags];
    const { stdout } = await ko(every, { KO_DOCKER_REPO: to, KO_DEFAULTBASEIMAGE: from });
    return stdout.trim();
  };
  const layout = await writeIndex(join(directory, "index"), "v1");
  const image = client.image("image");
  const manifest = async (repository: string, reference: string): Promise<Index> =>
    JSON.parse(await server.manifest(client.repository(repository), reference));

  await client.can("log in", async () => {
    await login(as.password);
    await run("crane", ["--insecure", "push", layout.directory, `${base}:v1`], {
      env: { DOCKER_CONFIG: docker },
    });
  });
  await client.can("push", async () => {
    const [, digest = ""] = (await build(image, `${base}:v1`, "v1")).split("@");
    assert((await server.contents(client.repository("image"), "v1")).includes(digest));
    assert.equal((await manifest("image", "v1")).manifests.length, platforms.length);
    const mounted = server.requests().filter(({ route, repository, status }) => {
      return route === "uploads" && repository === client.repository("image") && status === 201;
    });
    assert(mounted.length > 0, "layers of the base are mounted");
  });
  await client.can("pull by tag", async () => {
    const asked = server.requests().filter(({ repository, reference }) => {
      return repository === client.repository("base") && reference === "v1";
    });
    assert(asked.some(({ method, status }) => method === "GET" && status === 200));
  });
  await client.can("pull by digest", async () => {
    await build(client.image("again"), `${base}@${layout.entry.digest}`, "v1");
    const { annotations } = await manifest("again", "v1");
    assert.equal(annotations?.["org.opencontainers.image.base.name"], `${base}@${layout.entry.digest}`);
  });
  await client.also("an SBOM of each image, under a tag that cosign knows", async () => {
    const { manifests } = await manifest("image", "v1");
    for (const { digest } of manifests) {
      const tag = `${digest.replace(":", "-")}.sbom`;
      await server.contents(client.repository("image"), tag);
    }
  });
  await client.isRefused("other repositories refused", () =>
    ko(["build", ".", "--bare", "--tags", "v1"], {
      KO_DOCKER_REPO: client.foreign.replace(/:v1$/, ""),
      KO_DEFAULTBASEIMAGE: `${base}:v1`,
    }),
  );
  await client.isRefused("wrong password refused", async () => {
    await login("wrong");
    return await ko(["build", ".", "--bare", "--tags", "v1"], {
      KO_DOCKER_REPO: client.image("wrong"),
      KO_DEFAULTBASEIMAGE: `${base}:v1`,
    });
  });
  await client.finish();
});
