/** oras: artifacts of any kind, and what is attached to them. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { layoutContents, writeIndex } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

const artifactType = "application/vnd.example.report";

test("oras", async (t) => {
  const client = await startClient(t, {
    name: "oras",
    programs: ["oras"],
    version: ["oras", "version"],
    credential: "password",
    lacks: {},
    surprises: [],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const image = client.image("image");
  const artifact = client.image("artifact");
  // It names a file in an artifact as the command line does.
  const oras = (...args: string[]) =>
    run("env", ["-C", directory, "oras", ...args], { env: { DOCKER_CONFIG: join(directory, "config") } });
  const plain = (...args: string[]) => oras(...args, "--plain-http");
  const login = (password: string) =>
    plain("login", server.host, "--username", as.name, "--password", password);
  const index = await writeIndex(join(directory, "index"), "v1");
  const contents = await layoutContents(index.directory);
  const push = (to: string) =>
    oras("cp", "--from-oci-layout", `${index.directory}:v1`, "--to-plain-http", to);
  const pull = (from: string, to: string) => oras("cp", "--from-plain-http", from, "--to-oci-layout", to);
  const file = "report.txt";
  await writeFile(join(directory, file), "all is well");

  await client.isRefused("wrong password refused", () => login("wrong"));
  await client.can("log in", async () => {
    await login(as.password);
  });
  await client.can("push", async () => {
    await push(`${image}:v1`);
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
  await client.also("`push` and `pull` of files", async () => {
    await plain("push", `${artifact}:v1`, "--artifact-type", artifactType, file);
    await plain("pull", `${artifact}:v1`, "--output", "files");
    assert.equal(await readFile(join(directory, "files", file), "utf8"), "all is well");
  });
  await client.also("`attach` to an image, and `discover`", async () => {
    await plain("attach", `${image}:v1`, "--artifact-type", artifactType, file);
    const { stdout } = await plain("discover", `${image}:v1`, "--format", "json");
    const found = JSON.parse(stdout);
    assert.equal(found.referrers.length, 1);
    assert.equal(found.referrers[0].artifactType, artifactType);
    assert(server.requests().some(({ route, status }) => route === "referrers" && status === 200));
  });
  await client.also("`cp --recursive` to another repository, with what is attached", async () => {
    const copy = client.image("copy");
    const ways = ["--from-plain-http", "--to-plain-http"];
    await oras("cp", "--recursive", `${image}:v1`, `${copy}:v1`, ...ways);
    const { stdout } = await plain("discover", `${copy}:v1`, "--format", "json");
    assert.equal(JSON.parse(stdout).referrers.length, 1);
    assert.deepEqual(await server.contents(client.repository("copy"), "v1"), contents);
  });
  await client.also("`tag`, and `resolve`", async () => {
    await plain("tag", `${image}:v1`, "v2");
    assert.equal((await plain("resolve", `${image}:v2`)).stdout.trim(), index.entry.digest);
  });
  await client.can("list", async () => {
    assert.equal((await plain("repo", "tags", image)).stdout, "v1\nv2\n");
    const { stdout } = await plain("repo", "ls", server.host);
    assert.deepEqual(
      stdout.trim().split("\n"),
      ["artifact", "copy", "image"].map((name) => client.repository(name)),
    );
  });
  await client.large(async (layout) => {
    await oras("cp", "--from-oci-layout", `${layout.directory}:large`, "--to-plain-http", `${image}:large`);
    const out = join(directory, "large-out");
    await pull(`${image}:large`, `${out}:large`);
    assert.deepEqual(await layoutContents(out), await layoutContents(layout.directory));
  });
  await client.can("delete", async () => {
    await plain("manifest", "delete", "--force", `${image}@${index.entry.digest}`);
    await assert.rejects(plain("resolve", `${image}:v1`), /not found/);
  });
  await client.isRefused(
    "other repositories refused",
    () => push(client.foreign),
    () => plain("resolve", client.foreign),
  );
  await client.finish();
});
