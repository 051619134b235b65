/** podman: pushes and pulls an image. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { temporaryDirectory } from "../local/program.ts";
import { writeLayout } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { freePort, startServer } from "./support/server.ts";

test("podman pushes an image and pulls it again", async (t) => {
  if (!hasPrograms(t, "root", "podman")) return;
  // podman makes the folder's path a part of the image's name, which knows no capital letters.
  const directory = join(tmpdir(), `stowage-podman-${process.pid}`);
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const storage = ["--root", join(directory, "root"), "--runroot", join(directory, "run")];
  const podman = (...args: string[]) => run("podman", [...storage, "--storage-driver", "vfs", ...args]);
  const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort() });
  const layout = await writeLayout(join(directory, "in"), "v1");
  const image = `${server.host}/podman/image:v1`;
  const id = (await podman("pull", "--quiet", `oci:${layout.directory}:v1`)).stdout.trim();
  await podman("push", "--tls-verify=false", id, image);

  await podman("image", "rm", "--force", id);
  assert.equal((await podman("image", "ls", "--quiet")).stdout, "");
  assert.equal((await podman("pull", "--quiet", "--tls-verify=false", image)).stdout.trim(), id);
  await server.stop();
});
