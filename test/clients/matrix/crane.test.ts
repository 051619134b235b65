/** crane, of go-containerregistry: streams each layer with one PATCH. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { layoutContents, sha256, writeImage, writeIndex } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

test("crane", async (t) => {
  const client = await startClient(t, {
    name: "crane",
    programs: ["crane", "tar"],
    version: ["crane", "version"],
    credential: "password",
    lacks: {},
    surprises: [
      "`crane auth login` does not ask the registry: a wrong password shows at the first command after it.",
      "`crane copy` within a registry asks to mount every blob, configs too; all are mounted, and nothing is sent twice.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const image = client.image("image");
  const copy = client.image("copy");
  const crane = (...args: string[]) =>
    run("crane", ["--insecure", ...args], { env: { DOCKER_CONFIG: join(directory, "config") } });
  const login = (password: string) => crane("auth", "login", server.host, "-u", as.name, "-p", password);
  const digestOf = async (reference: string) => (await crane("digest", reference)).stdout.trim();
  const index = await writeIndex(join(directory, "index"), "v1");
  const contents = await layoutContents(index.directory);
  const byDigest = `${image}@${index.entry.digest}`;

  await client.can("log in", async () => {
    await login(as.password);
    await crane("catalog", server.host);
  });
  await client.can("push", async () => {
    const { stdout } = await crane("push", index.directory, `${image}:v1`);
    assert.equal(stdout.trim(), byDigest);
    assert.deepEqual(await server.contents(client.repository("image"), "v1"), contents);
  });
  await client.can("pull by tag", async () => {
    const out = join(directory, "by-tag");
    await crane("pull", "--format", "oci", `${image}:v1`, out);
    assert.deepEqual(await layoutContents(out), contents);
  });
  await client.can("pull by digest", async () => {
    const out = join(directory, "by-digest");
    await crane("pull", "--format", "oci", byDigest, out);
    assert.deepEqual(await layoutContents(out), contents);
    for (const { digest } of index.manifests) {
      assert.equal(sha256((await crane("manifest", `${image}@${digest}`)).stdout), digest);
    }
  });
  await client.large(async (layout) => {
    await crane("push", layout.directory, `${image}:large`);
    const out = join(directory, "large-out");
    await crane("pull", "--format", "oci", `${image}:large`, out);
    assert.deepEqual(await layoutContents(out), await layoutContents(layout.directory));
  });
  await client.also("`validate`", async () => {
    // Not the index: crane takes the layers of attestations for archives.
    for (const { digest } of index.manifests) await crane("validate", "--remote", `${image}@${digest}`);
  });
  await client.also("`copy` to another repository, and `tag`", async () => {
    await crane("copy", byDigest, `${copy}:v1`);
    await crane("tag", `${copy}:v1`, "v2");
    assert.equal(await digestOf(`${copy}:v2`), index.entry.digest);
    assert.deepEqual(await server.contents(client.repository("copy"), "v2"), contents);
    const sent = server.requests().filter(({ repository }) => repository === client.repository("copy"));
    const uploads = sent.filter(({ route }) => route === "uploads" || route === "upload");
    assert(uploads.length > 0 && uploads.every(({ status }) => status === 201), "each blob is mounted");
  });
  await client.can("list", async () => {
    assert.equal((await crane("ls", copy)).stdout, "v1\nv2\n");
  });
  await client.also("`catalog`, which shows what it may pull", async () => {
    const { stdout } = await crane("catalog", server.host);
    assert.deepEqual(stdout.trim().split("\n"), [client.repository("copy"), client.repository("image")]);
  });
  await client.also("`append` of a layer", async () => {
    const layout = await writeImage(join(directory, "base"), "base");
    await crane("push", layout.directory, `${image}:base`);
    const archive = join(directory, "layer.tar");
    await run("tar", ["-C", directory, "-cf", archive, "config"]);
    await crane("append", "--base", `${image}:base`, "--new_layer", archive, "--new_tag", `${image}:more`);
    const base = JSON.parse((await crane("manifest", `${image}:base`)).stdout);
    const more = JSON.parse((await crane("manifest", `${image}:more`)).stdout);
    assert.deepEqual(more.layers.slice(0, -1), base.layers);
    assert.equal(more.layers.length, base.layers.length + 1);
    await crane("validate", "--remote", `${image}:more`);
  });
  await client.also("`mutate` of labels and annotations", async () => {
    const change = ["--label", "a=b", "--annotation", "org.example.c=d"];
    await crane("mutate", ...change, "--tag", `${image}:mutated`, `${image}:base`);
    const { config } = JSON.parse((await crane("config", `${image}:mutated`)).stdout);
    assert.deepEqual(config.Labels, { a: "b" });
    const { annotations } = JSON.parse((await crane("manifest", `${image}:mutated`)).stdout);
    assert.deepEqual(annotations, { "org.example.c": "d" });
  });
  await client.can("delete", async () => {
    await crane("delete", `${copy}:v1`);
    assert.equal((await crane("ls", copy)).stdout, "v2\n");
    await crane("delete", `${copy}@${index.entry.digest}`);
    await assert.rejects(crane("manifest", `${copy}:v2`), /MANIFEST_UNKNOWN/);
  });
  await client.isRefused(
    "other repositories refused",
    () => crane("push", index.directory, client.foreign),
    () => crane("manifest", client.foreign),
  );
  await client.isRefused("wrong password refused", async () => {
    await login("wrong");
    return crane("manifest", `${image}:v1`);
  });
  await client.finish();
});
