/** podman: pushes from a store that keeps layers unpacked, and packs them again for each push. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { fiveLayers, writeImage } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

test("podman", async (t) => {
  const client = await startClient(t, {
    name: "podman",
    programs: ["root", "podman"],
    version: ["podman", "--version"],
    credential: "password",
    lacks: { delete: "it has no command that deletes in a registry" },
    surprises: [
      "`podman search --list-tags` lists the tags of one repository.",
      "It keeps layers unpacked and packs them for the push: what it pushes has the same image id as what it pulled, but other digests.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const storage = ["--root", join(directory, "root"), "--runroot", join(directory, "run")];
  const env = { REGISTRY_AUTH_FILE: join(directory, "auth.json") };
  await writeFile(env.REGISTRY_AUTH_FILE, "{}");
  const podman = (...args: string[]) =>
    run("podman", [...storage, "--storage-driver", "vfs", ...args], { env });
  const login = (password: string) =>
    podman("login", "--tls-verify=false", "-u", as.name, "-p", password, server.host);
  const image = client.image("image");
  const layout = await writeImage(join(directory, "in"), "v1");
  const digestFile = join(directory, "digest");
  const push = (to: string) => podman("push", "--tls-verify=false", "--digestfile", digestFile, id, to);
  const pull = async (reference: string) =>
    (await podman("pull", "--quiet", "--tls-verify=false", reference)).stdout.trim();
  const forget = async () => {
    await podman("image", "rm", "--force", id);
    assert.equal((await podman("image", "ls", "--quiet")).stdout, "");
  };
  const digestOf = async () =>
    (await podman("image", "inspect", "--format", "{{.Digest}}", id)).stdout.trim();
  const id = (await podman("pull", "--quiet", `oci:${layout.directory}:v1`)).stdout.trim();
  let digest = "";

  await client.isRefused("wrong password refused", () => login("wrong"));
  await client.can("log in", async () => {
    await login(as.password);
  });
  await client.can("push", async () => {
    await push(`${image}:v1`);
    digest = await readFile(digestFile, "utf8");
    const contents = await server.contents(client.repository("image"), "v1");
    assert.equal(contents.length, 2 + fiveLayers.length);
    assert(contents.includes(digest) && contents.includes(`sha256:${id}`));
    assert.notEqual(digest, layout.entry.digest);
  });
  await client.isRefused(
    "other repositories refused",
    () => push(client.foreign),
    () => podman("pull", "--tls-verify=false", client.foreign),
  );
  await client.can("pull by tag", async () => {
    await forget();
    assert.equal(await pull(`${image}:v1`), id);
    assert.equal(await digestOf(), digest);
  });
  await client.can("pull by digest", async () => {
    await forget();
    assert.equal(await pull(`${image}@${digest}`), id);
    assert.equal(await digestOf(), digest);
  });
  await client.can("list", async () => {
    await push(`${image}:v2`);
    const { stdout } = await podman("search", "--list-tags", "--tls-verify=false", image);
    const rows = stdout.trim().split("\n").slice(1);
    assert.deepEqual(
      rows.map((row) => row.split(/\s+/)),
      [
        [image, "v1"],
        [image, "v2"],
      ],
    );
  });
  await client.also("`manifest create`, `add` and `push` of an index", async () => {
    await podman("manifest", "create", "list");
    await podman("manifest", "add", "--tls-verify=false", "list", `docker://${image}@${digest}`);
    const to = `docker://${client.image("list:v1")}`;
    await podman("manifest", "push", "--all", "--tls-verify=false", "list", to);
    assert((await server.contents(client.repository("list"), "v1")).includes(digest));
  });
  await client.also("`logout`, after which it is refused", async () => {
    await podman("logout", server.host);
    await assert.rejects(push(`${image}:v3`), /unauthorized|authentication required|denied/);
  });
  await client.finish();
});
