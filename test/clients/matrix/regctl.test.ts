/** regctl, of regclient: artifacts, referrers, single blobs and uploads in chunks. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { layoutContents, sha256, writeImage, writeIndex } from "../support/oci-layout.ts";
import { type RunOptions, run } from "../support/programs.ts";

const mebibyte = 1024 * 1024;

test("regctl", async (t) => {
  const client = await startClient(t, {
    name: "regctl",
    programs: ["regctl"],
    version: ["regctl", "version", "--format", "{{.VCSTag}}"],
    credential: "token",
    lacks: {},
    surprises: [
      "After each 403, regctl waits longer before it sends anything more to the same registry: an `image copy` of an index into a repository that it may not push to fails after minutes, not at once.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const image = client.image("image");
  const env = { REGCTL_CONFIG: join(directory, "config.json") };
  const regctl = (args: readonly string[], options: Pick<RunOptions, "input"> = {}) =>
    run("regctl", args, { env, ...options });
  const login = (password: string) =>
    regctl(["registry", "login", server.host, "-u", as.name, "--pass-stdin"], { input: password });
  const push = (from: string, to: string) => regctl(["image", "copy", `ocidir://${from}`, to]);
  const pull = (from: string, to: string) => regctl(["image", "copy", from, `ocidir://${to}`]);
  const index = await writeIndex(join(directory, "index"), "v1");
  const contents = await layoutContents(index.directory);

  await regctl(["registry", "set", server.host, "--tls", "disabled", "--skip-check"]);
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

  await client.also("`artifact put` with annotations, `get`, `list` and `tree`", async () => {
    const file = join(directory, "sbom.json");
    await writeFile(file, "{}");
    const type = "application/vnd.example.sbom";
    const put = ["artifact", "put", "--subject", `${image}:v1`, "--artifact-type", type];
    await regctl([...put, "--annotation", "org.example.a=b", "--file", file]);
    const { stdout: list } = await regctl(["artifact", "list", `${image}:v1`, "--format", "{{json .}}"]);
    const { descriptors, manifest } = JSON.parse(list);
    const [referrer] = descriptors ?? manifest.manifests;
    assert.equal(referrer.artifactType, type);
    assert.equal(referrer.annotations["org.example.a"], "b");
    const get = ["artifact", "get", "--subject", `${image}:v1`, "--filter-artifact-type", type];
    assert.equal((await regctl(get)).stdout, "{}");
    const { stdout: tree } = await regctl(["artifact", "tree", `${image}:v1`]);
    assert.match(tree, new RegExp(`Referrers:[^]*${referrer.digest}: ${type}`));
  });
  await client.also("`image copy --referrers`", async () => {
    const copy = client.image("copy");
    await regctl(["image", "copy", "--referrers", "--digest-tags", `${image}:v1`, `${copy}:v2`]);
    assert.deepEqual(await server.contents(client.repository("copy"), "v2"), contents);
    const list = async (name: string) => (await regctl(["artifact", "list", name])).stdout;
    assert.equal(
      (await list(`${copy}@${index.entry.digest}`)).replaceAll(copy, image),
      await list(`${image}@${index.entry.digest}`),
    );
  });
  await client.also("`blob put`, `get` and `delete`", async () => {
    const blob = "a blob of its own";
    const repository = client.image("blobs");
    const { stdout } = await regctl(["blob", "put", repository], { input: blob });
    assert.equal(stdout.trim(), sha256(blob));
    assert.equal((await regctl(["blob", "get", repository, sha256(blob)])).stdout, blob);
    await regctl(["blob", "delete", repository, sha256(blob)]);
    await assert.rejects(regctl(["blob", "get", repository, sha256(blob)]), /not found/);
  });
  await client.also("uploads in chunks (`--blob-chunk`, `--blob-max`)", async () => {
    const chunked = ["--blob-chunk", String(mebibyte), "--blob-max", String(mebibyte)];
    await regctl(["registry", "set", server.host, ...chunked, "--skip-check"]);
    const layout = await writeImage(join(directory, "chunked"), "chunked", [7 * mebibyte + 1]);
    await push(`${layout.directory}:chunked`, `${client.image("chunked")}:v1`);
    const repository = client.repository("chunked");
    assert.deepEqual(await server.contents(repository, "v1"), await layoutContents(layout.directory));
    const isChunk = ({ method, ...request }: { method: string; repository?: string }) =>
      method === "PATCH" && request.repository === repository;
    assert(server.requests().filter(isChunk).length >= 8);
  });
  await client.can("list", async () => {
    await regctl(["image", "copy", `${client.image("copy")}:v2`, `${client.image("copy")}:v3`]);
    assert.equal((await regctl(["tag", "ls", client.image("copy")])).stdout, "v2\nv3\n");
  });
  await client.can("delete", async () => {
    const copy = client.image("copy");
    await regctl(["tag", "delete", `${copy}:v2`]);
    assert.equal((await regctl(["tag", "ls", copy])).stdout, "v3\n");
    await regctl(["manifest", "delete", `${copy}@${index.entry.digest}`]);
    assert.equal((await regctl(["tag", "ls", copy])).stdout.trim(), "");
  });
  const { stdout: manifest } = await regctl(["manifest", "get", "--format", "raw-body", `${image}:v1`]);
  await client.isRefused(
    "other repositories refused",
    // Single requests, as it waits after each refusal.
    () => regctl(["manifest", "put", client.foreign], { input: manifest }),
    () => regctl(["manifest", "get", client.foreign]),
  );
  await client.finish();
});
