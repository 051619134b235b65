/** podman with `enable_partial_images`: of a zstd:chunked layer it pulls the files that it does not have already. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { temporaryDirectory } from "../local/program.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { freePort, startServer } from "./support/server.ts";

const fileCount = 100;
const fileBytes = 300_000;

test("podman pulls only the changed tenth of a zstd:chunked layer", async (t) => {
  if (!hasPrograms(t, "root", "podman")) return;
  const directory = await temporaryDirectory(t);
  const [data, context] = [join(directory, "data"), join(directory, "context")];
  await mkdir(data, { mode: 0o700 });
  await mkdir(join(context, "files"), { recursive: true });
  const configuration = join(directory, "storage.conf");
  await writeFile(
    configuration,
    `[storage]
driver = "overlay"
runroot = "${join(directory, "run")}"
graphroot = "${join(directory, "graph")}"
[storage.options]
pull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}
`,
  );
  const podman = (...args: string[]) =>
    run("podman", args, { env: { CONTAINERS_STORAGE_CONF: configuration } });
  // Before the directory goes, as it holds mounts.
  await using _ = { [Symbol.asyncDispose]: () => podman("system", "reset", "--force").then(() => {}) };
  const server = await startServer(t, { data, port: await freePort() });

  const writeFiles = async (numbers: number[]) => {
    for (const number of numbers) {
      await writeFile(join(context, "files", String(number)), randomBytes(fileBytes));
    }
  };
  const pushAs = async (tag: string) => {
    const image = `${server.host}/partial/app:${tag}`;
    await podman("build", "--quiet", "--no-cache", "--tag", image, context);
    await podman("push", "--quiet", "--tls-verify=false", "--compression-format", "zstd:chunked", image);
    return image;
  };
  await writeFile(join(context, "Dockerfile"), "FROM scratch\nCOPY files /files\n");
  await writeFiles([...Array(fileCount).keys()]);
  const before = await pushAs("before");
  // Not neighbours, so that there is a range for each.
  await writeFiles(Array.from({ length: fileCount / 10 }, (_, index) => 9 * index + 3));
  const after = await pushAs("after");
  await podman("image", "rm", "--all", "--force");

  await podman("pull", "--quiet", "--tls-verify=false", before);
  const pulledBefore = server.requests().length;
  await podman("pull", "--quiet", "--tls-verify=false", after);
  const pulls = server
    .requests()
    .slice(pulledBefore)
    .filter(({ route }) => route === "blob");
  const bytes = pulls.reduce((sum, { bytesOut = 0 }) => sum + bytesOut, 0);
  const ranged = pulls.filter(({ status }) => status === 206).length;
  t.diagnostic(`${bytes} bytes of ${fileCount * fileBytes}, in ${ranged} answers of ranges`);
  assert(ranged > 0);
  assert(bytes < (fileCount * fileBytes) / 5);
  await server.stop();
});
