/** skopeo: an image for several architectures goes in and comes out as it was. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { temporaryDirectory } from "../local/program.ts";
import { layoutContents, writeLayout } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { freePort, startServer } from "./support/server.ts";

function skopeo(...args: string[]) {
  return run("skopeo", ["--insecure-policy", ...args]);
}

test("skopeo copies an index of several architectures in and out, its digests unchanged", async (t) => {
  if (!hasPrograms(t, "skopeo")) return;
  const directory = temporaryDirectory(t);
  const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort() });
  const layout = await writeLayout(join(directory, "in"), "v1");
  const image = `docker://${server.host}/skopeo/image`;
  const pushed = ["--all", "--dest-tls-verify=false"];
  await skopeo("copy", ...pushed, `oci:${layout.directory}:v1`, `${image}:v1`);

  for (const reference of [":v1", `@${layout.index.digest}`]) {
    const out = join(directory, reference.slice(1, 4));
    await skopeo("copy", "--all", "--src-tls-verify=false", `${image}${reference}`, `oci:${out}:v1`);
    assert.deepEqual(await layoutContents(out), await layoutContents(layout.directory), reference);
  }
  const { stdout: digest } = await skopeo(
    "inspect",
    "--tls-verify=false",
    "--format",
    "{{.Digest}}",
    `${image}:v1`,
  );
  assert.equal(digest.trim(), layout.index.digest);

  const copy = `docker://${server.host}/skopeo/copy`;
  await skopeo("copy", "--src-tls-verify=false", ...pushed, `${image}:v1`, `${copy}:v2`);
  const { stdout: tags } = await skopeo("list-tags", "--tls-verify=false", copy);
  assert.deepEqual(JSON.parse(tags).Tags, ["v2"]);
  await skopeo("delete", "--tls-verify=false", `${copy}:v2`);
  await assert.rejects(skopeo("inspect", "--tls-verify=false", `${copy}:v2`), /manifest unknown/);
  await server.stop();
});
