/** skopeo, of containers/image: streams each layer with one PATCH, and copies between registries and folders. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { layoutContents, writeIndex } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

test("skopeo", async (t) => {
  const client = await startClient(t, {
    name: "skopeo",
    programs: ["skopeo"],
    version: ["skopeo", "--version"],
    credential: "token",
    lacks: {},
    surprises: [
      "`skopeo delete` by a tag asks for the tag's digest and deletes the manifest by it, and so all other tags of the same manifest.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const image = client.image("image");
  const copy = client.image("copy");
  const env = { REGISTRY_AUTH_FILE: join(directory, "auth.json") };
  const skopeo = (...args: string[]) => run("skopeo", ["--insecure-policy", ...args], { env });
  const login = (password: string) =>
    skopeo("login", "--tls-verify=false", "-u", as.name, "-p", password, server.host);
  const push = (from: string, to: string) =>
    skopeo("copy", "--all", "--dest-tls-verify=false", `oci:${from}`, `docker://${to}`);
  const pull = (from: string, to: string) =>
    skopeo("copy", "--all", "--src-tls-verify=false", `docker://${from}`, `oci:${to}`);
  const anyScheme = ["--src-tls-verify=false", "--dest-tls-verify=false"];
  const tagsOf = async (name: string) =>
    JSON.parse((await skopeo("list-tags", "--tls-verify=false", `docker://${name}`)).stdout).Tags;
  const index = await writeIndex(join(directory, "index"), "v1");
  const contents = await layoutContents(index.directory);

  await client.isRefused("wrong password refused", () => login("wrong"));
  await client.can("log in", async () => {
    await login(as.password);
  });
  await client.can("push", async () => {
    await push(`${index.directory}:v1`, `${image}:v1`);
    assert.deepEqual(await server.contents(client.repository("image"), "v1"), contents);
  });
  await client.can("pull by tag", async () => {
    const out = join(directory, "by-tag");
    await pull(`${image}:v1`, `${out}:v1`);
    assert.deepEqual(await layoutContents(out), contents);
  });
  await client.can("pull by digest", async () => {
    const out = join(directory, "by-digest");
    await pull(`${image}@${index.entry.digest}`, `${out}:v1`);
    assert.deepEqual(await layoutContents(out), contents);
  });
  await client.large(async (layout) => {
    await push(`${layout.directory}:large`, `${image}:large`);
    const out = join(directory, "large-out");
    await pull(`${image}:large`, `${out}:large`);
    assert.deepEqual(await layoutContents(out), await layoutContents(layout.directory));
  });
  await client.also("`inspect`", async () => {
    const inspect = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", `docker://${image}:v1`];
    assert.equal((await skopeo(...inspect)).stdout.trim(), index.entry.digest);
  });
  await client.also("`copy --all` of an index with attestations to another repository", async () => {
    await skopeo("copy", "--all", ...anyScheme, `docker://${image}:v1`, `docker://${copy}:v2`);
    assert.deepEqual(await server.contents(client.repository("copy"), "v2"), contents);
  });
  await client.can("list", async () => {
    assert.deepEqual(await tagsOf(copy), ["v2"]);
  });
  await client.also("`sync` to a folder, and from there to another repository", async () => {
    const out = join(directory, "synced");
    const all = ["sync", "--all", ...anyScheme];
    await skopeo(...all, "--src", "docker", "--dest", "dir", copy, out);
    await skopeo(...all, "--src", "dir", "--dest", "docker", out, client.image("synced"));
    const repository = client.repository("synced/copy");
    assert.deepEqual(await tagsOf(client.image("synced/copy")), ["v2"]);
    assert.deepEqual(await server.contents(repository, "v2"), contents);
  });
  await client.can("delete", async () => {
    await skopeo("copy", "--all", ...anyScheme, `docker://${copy}:v2`, `docker://${copy}:v3`);
    await skopeo("delete", "--tls-verify=false", `docker://${copy}:v2`);
    for (const tag of ["v2", "v3"]) {
      await assert.rejects(
        skopeo("inspect", "--tls-verify=false", `docker://${copy}:${tag}`),
        /manifest unknown/,
      );
    }
  });
  await client.isRefused(
    "other repositories refused",
    () => push(`${index.directory}:v1`, client.foreign),
    () => skopeo("inspect", "--tls-verify=false", `docker://${client.foreign}`),
  );
  await client.also("`logout`, after which it is refused", async () => {
    await skopeo("logout", server.host);
    await assert.rejects(pull(`${image}:v1`, `${join(directory, "logged-out")}:v1`), /unauthorized/);
  });
  await client.finish();
});
