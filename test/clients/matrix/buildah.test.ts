/** buildah: builds images, and pushes and pulls as podman does. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { run } from "../support/programs.ts";

test("buildah", async (t) => {
  const client = await startClient(t, {
    name: "buildah",
    programs: ["root", "buildah"],
    version: ["buildah", "--version"],
    credential: "token",
    lacks: {
      list: "it has no command that lists what a registry has",
      delete: "it has no command that deletes in a registry",
    },
    surprises: [],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const storage = ["--root", join(directory, "root"), "--runroot", join(directory, "run")];
  const env = { REGISTRY_AUTH_FILE: join(directory, "auth.json") };
  const buildah = (...args: string[]) =>
    run("buildah", [...storage, "--storage-driver", "vfs", ...args], { env });
  const login = (password: string) =>
    buildah("login", "--tls-verify=false", "-u", as.name, "-p", password, server.host);
  const image = client.image("image");
  const digestFile = join(directory, "digest");
  /** Builds an image with one layer a line, on top of a base. */
  const build = async (base: string, ...lines: string[]) => {
    const context = join(directory, "context");
    await mkdir(context, { recursive: true });
    const steps: string[] = [];
    for (const line of lines) {
      await writeFile(join(context, line), line);
      steps.push(`COPY ${line} /${line}`);
    }
    await writeFile(join(context, "Dockerfile"), `FROM ${base}\n${steps.join("\n")}\n`);
    const { stdout } = await buildah("bud", "--quiet", "--layers", "--tls-verify=false", context);
    return stdout.trim();
  };
  const push = (id: string, to: string) =>
    buildah("push", "--tls-verify=false", "--digestfile", digestFile, id, `docker://${to}`);
  const pull = async (reference: string) =>
    (await buildah("pull", "--quiet", "--tls-verify=false", reference)).stdout.trim();
  const forget = async () => {
    await buildah("rmi", "--all", "--force");
    assert.equal((await buildah("images", "--all", "--quiet")).stdout, "");
  };
  const digestOf = async (id: string) =>
    (await buildah("inspect", "--type", "image", "--format", "{{.FromImageDigest}}", id)).stdout.trim();
  const lines = ["one", "two", "three", "four", "five"];
  const id = await build("scratch", ...lines);
  let digest = "";

  await client.isRefused("wrong password refused", () => login("wrong"));
  await client.can("log in", async () => {
    await login(as.password);
  });
  await client.can("push", async () => {
    await push(id, `${image}:v1`);
    digest = await readFile(digestFile, "utf8");
    const contents = await server.contents(client.repository("image"), "v1");
    assert.equal(contents.length, 2 + lines.length);
    assert(contents.includes(digest) && contents.includes(`sha256:${id}`));
  });
  await client.isRefused(
    "other repositories refused",
    () => push(id, client.foreign),
    () => buildah("pull", "--tls-verify=false", client.foreign),
  );
  await client.can("pull by tag", async () => {
    await forget();
    assert.equal(await pull(`${image}:v1`), id);
    assert.equal(await digestOf(id), digest);
  });
  await client.can("pull by digest", async () => {
    await forget();
    assert.equal(await pull(`${image}@${digest}`), id);
    assert.equal(await digestOf(id), digest);
  });
  await client.also("`build` on an image of the registry", async () => {
    await forget();
    const built = await build(`${image}:v1`, "six");
    await push(built, `${image}:v2`);
    const contents = await server.contents(client.repository("image"), "v2");
    assert.equal(contents.length, 2 + lines.length + 1);
    assert(contents.includes(`sha256:${built}`));
  });
  await client.also("`manifest create`, `add` and `push` of an index", async () => {
    await buildah("manifest", "create", "list");
    await buildah("manifest", "add", "--tls-verify=false", "list", `docker://${image}@${digest}`);
    const to = `docker://${client.image("list:v1")}`;
    await buildah("manifest", "push", "--all", "--tls-verify=false", "list", to);
    assert((await server.contents(client.repository("list"), "v1")).includes(digest));
  });
  await client.finish();
});
