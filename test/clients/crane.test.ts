/** crane: pushes and pulls by digest. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { temporaryDirectory } from "../local/program.ts";
import { layoutContents, sha256, writeLayout } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { freePort, startServer } from "./support/server.ts";

function crane(...args: string[]) {
  return run("crane", ["--insecure", ...args]);
}

test("crane pushes and pulls by digest", async (t) => {
  if (!hasPrograms(t, "crane")) return;
  const directory = temporaryDirectory(t);
  const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort() });
  const { directory: layout, index, manifests } = await writeLayout(join(directory, "in"), "v1");
  const image = `${server.host}/crane/image`;
  // crane pushes the layout's entry point as an index itself.
  const digest = sha256(await readFile(join(layout, "index.json")));
  const byDigest = `${image}@${digest}`;
  const { stdout: pushed } = await crane("push", "--index", layout, byDigest);
  assert.equal(pushed.trim(), byDigest);

  const out = join(directory, "out");
  await crane("pull", "--format", "oci", byDigest, out);
  assert.deepEqual(await layoutContents(out), [...(await layoutContents(layout)), digest].sort());
  for (const pulled of [digest, ...[index, ...manifests].map((descriptor) => descriptor.digest)]) {
    const { stdout } = await crane("manifest", `${image}@${pulled}`);
    assert.equal(sha256(stdout), pulled);
  }
  const [first] = manifests;
  await crane("validate", "--remote", `${image}@${first?.digest}`);

  await crane("tag", byDigest, "v1");
  assert.equal((await crane("digest", `${image}:v1`)).stdout.trim(), digest);
  assert.equal((await crane("ls", image)).stdout.trim(), "v1");
  assert.equal((await crane("catalog", server.host)).stdout.trim(), "crane/image");
  const copy = `${server.host}/crane/copy:v1`;
  await crane("copy", byDigest, copy);
  assert.equal((await crane("digest", copy)).stdout.trim(), digest);
  await server.stop();
});
