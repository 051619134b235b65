/** A stock Docker daemon: what it pushes it pulls again, from whatever serves the data. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { temporaryDirectory, until } from "../local/program.ts";
import {
  buildImage,
  type Docker,
  dockerPrograms,
  imageId,
  removeImages,
  startDocker,
} from "./support/docker.ts";
import { hasPrograms } from "./support/programs.ts";
import { send } from "./support/raw-client.ts";
import { freePort, type Server, startServer } from "./support/server.ts";
import { bucketDiskBytes, storedObjectBytes } from "./support/stored-blobs.ts";

const megabyte = 1024 * 1024;
/** Size of the one large layer; STOWAGE_TEST_LAYER_MB makes it smaller for a quick run. */
const largeLayerBytes = Number(process.env.STOWAGE_TEST_LAYER_MB ?? 300) * megabyte;
const smallLayerBytes = 2 * megabyte;
const smallLayers = 5;

const manifestType = "application/vnd.docker.distribution.manifest.v2+json";

interface Manifest {
  config: { digest: string; size: number };
  layers: { digest: string; size: number }[];
}

/** Sizes of all blobs that the tags' manifests name, each digest once. */
async function namedBlobBytes(server: Server, ...repositories: string[]): Promise<number[]> {
  const sizes = new Map<string, number>();
  for (const repository of repositories) {
    const url = `${server.url}/v2/${repository}/manifests/latest`;
    const answer = await send(url, { method: "GET", headers: { Accept: manifestType } });
    assert.equal(answer.status, 200, answer.text);
    const { config, layers }: Manifest = JSON.parse(answer.text);
    for (const { digest, size } of [config, ...layers]) sizes.set(digest, size);
  }
  return [...sizes.values()].sort((a, b) => a - b);
}

/** Removes the images from the daemon and pulls them again: they are the same. */
async function pullsTheSame(docker: Docker, ids: ReadonlyMap<string, string>): Promise<void> {
  await removeImages(docker, ...ids.keys());
  for (const [name, id] of ids) {
    await docker(["pull", "--quiet", name]);
    assert.equal(await imageId(docker, name), id, name);
  }
}

async function pushNew(
  t: TestContext,
  docker: Docker,
  name: string,
  layers: readonly number[],
): Promise<string> {
  await buildImage(t, docker, name, layers);
  await docker(["push", "--quiet", name]);
  return imageId(docker, name);
}

test("docker pushes images and pulls them again", async (t) => {
  if (!hasPrograms(t, ...dockerPrograms)) return;
  const docker = await startDocker(t);
  const data = temporaryDirectory(t);
  const port = await freePort();
  let server = await startServer(t, { data, port, vars: { DELETE_DELAY: "0s" } });
  const large = `${server.host}/large`;
  const layered = `${server.host}/team/layered`;
  const copy = `${server.host}/team/copy`;
  const ids = new Map<string, string>();

  await t.test(`one layer of ${largeLayerBytes / megabyte} MB, and five of 2 MB`, async (t) => {
    ids.set(large, await pushNew(t, docker, large, [largeLayerBytes]));
    ids.set(layered, await pushNew(t, docker, layered, Array(smallLayers).fill(smallLayerBytes)));
    await pullsTheSame(docker, ids);
  });

  await t.test("a push to a second repository uploads no layer again", async () => {
    await docker(["tag", layered, copy]);
    const { stdout } = await docker(["push", copy]);
    const known = stdout.match(/Mounted from team\/layered|Layer already exists/g) ?? [];
    assert.equal(known.length, smallLayers, stdout);
    assert.doesNotMatch(stdout, /: Pushed$/m);
    const id = ids.get(layered);
    assert(id !== undefined);
    await pullsTheSame(docker, new Map([[copy, id]]));
    ids.set(copy, id);
  });

  await t.test("the bucket holds each blob once", async () => {
    const expected = await namedBlobBytes(server, "large", "team/layered", "team/copy");
    assert.equal(expected.length, 2 + 1 + smallLayers);
    const expectedBytes = expected.reduce((sum, size) => sum + size, 0);
    // docker sends the config again, as it mounts layers only; those bytes are on their way out.
    await until("the end of duplicates", async () => (await bucketDiskBytes(data)) === expectedBytes);
    await server.stop();
    assert.deepEqual(await storedObjectBytes(data), expected);
  });

  await t.test("the same after a restart of the server", async () => {
    server = await startServer(t, { data, port });
    await pullsTheSame(docker, ids);
    await server.stop();
  });

  await t.test("the same served under Deno", async () => {
    server = await startServer(t, { data, port, runtime: "deno" });
    await pullsTheSame(docker, ids);
    await server.stop();
  });
});
