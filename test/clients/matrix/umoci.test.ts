/** umoci: makes and changes images in OCI layouts, which skopeo's `oci:` carries to and from the registry. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { layoutContents } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

test("umoci", async (t) => {
  const client = await startClient(t, {
    name: "umoci",
    programs: ["root", "umoci", "skopeo"],
    version: ["umoci", "--version"],
    credential: "token",
    lacks: {
      "log in": "it speaks to no registry: skopeo carries its layouts, with `--src-creds` and `--dest-creds`",
      list: "it lists the tags of layouts only",
      delete: "it deletes in layouts only",
    },
    surprises: [],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const image = client.image("image");
  const layout = join(directory, "layout");
  const umoci = (...args: string[]) => run("umoci", args);
  const skopeo = (...args: string[]) => run("skopeo", ["--insecure-policy", "copy", ...args]);
  const push = (tag: string, to: string, password = as.password) =>
    skopeo(
      "--dest-tls-verify=false",
      "--dest-creds",
      `${as.name}:${password}`,
      `oci:${layout}:${tag}`,
      `docker://${to}`,
    );
  const pull = (from: string, to: string) =>
    skopeo(
      "--src-tls-verify=false",
      "--src-creds",
      `${as.name}:${as.password}`,
      `docker://${from}`,
      `oci:${to}`,
    );
  const files: Record<string, string> = { "a.txt": "a", "b.txt": "b" };
  await umoci("init", "--layout", layout);
  await umoci("new", "--image", `${layout}:v1`);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(directory, name), text);
    await umoci("insert", "--image", `${layout}:v1`, join(directory, name), `/${name}`);
  }
  await umoci("config", "--image", `${layout}:v1`, "--config.label", "a=b");
  // Without what the image was before it was finished.
  await umoci("gc", "--layout", layout);
  const contents = await layoutContents(layout);
  const unpacked = async (from: string, tag: string) => {
    const bundle = join(directory, `bundle-${tag}`);
    await umoci("unpack", "--image", `${from}:${tag}`, bundle);
    const names = await readdir(join(bundle, "rootfs"));
    const texts = names.map(async (name) => [name, await readFile(join(bundle, "rootfs", name), "utf8")]);
    return Object.fromEntries(await Promise.all(texts));
  };
  const { manifests } = JSON.parse(await readFile(join(layout, "index.json"), "utf8"));
  const digest = manifests[0].digest;

  await client.can("push", async () => {
    await push("v1", `${image}:v1`);
    assert.deepEqual(await server.contents(client.repository("image"), "v1"), contents);
  });
  await client.can("pull by tag", async () => {
    const out = join(directory, "by-tag");
    await pull(`${image}:v1`, `${out}:v1`);
    assert.deepEqual(await layoutContents(out), contents);
    assert.deepEqual(await unpacked(out, "v1"), files);
  });
  await client.can("pull by digest", async () => {
    const out = join(directory, "by-digest");
    await pull(`${image}@${digest}`, `${out}:v2`);
    assert.deepEqual(await layoutContents(out), contents);
    assert.deepEqual(await unpacked(out, "v2"), files);
  });
  await client.also("`unpack`, `repack` and a push of the one new layer", async () => {
    const bundle = join(directory, "bundle");
    await umoci("unpack", "--image", `${layout}:v1`, bundle);
    await writeFile(join(bundle, "rootfs", "c.txt"), "c");
    await umoci("repack", "--image", `${layout}:v3`, bundle);
    const isUpload = ({ method, repository }: { method: string; repository?: string }) =>
      method === "PATCH" && repository === client.repository("image");
    const before = server.requests().filter(isUpload).length;
    await push("v3", `${image}:v3`);
    // The layer and the config.
    assert.equal(server.requests().filter(isUpload).length - before, 2);
    const out = join(directory, "repacked");
    await pull(`${image}:v3`, `${out}:v3`);
    assert.deepEqual(await unpacked(out, "v3"), { ...files, "c.txt": "c" });
  });
  await client.isRefused("other repositories refused", () => push("v1", client.foreign));
  await client.isRefused("wrong password refused", () => push("v1", `${image}:v4`, "wrong"));
  await client.finish();
});
