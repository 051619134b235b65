/** `kill -9` of the server in the middle of pushes: what was acknowledged is served, what was not can be repeated. */
import assert from "node:assert/strict";
import { createConnection } from "node:net";
import test, { type TestContext } from "node:test";
import { temporaryDirectory, until } from "../local/program.ts";
import { Content } from "./support/content.ts";
import { buildImage, dockerPrograms, imageId, removeImages, startDocker } from "./support/docker.ts";
import { sha256 } from "./support/oci-layout.ts";
import { hasPrograms } from "./support/programs.ts";
import { bytesAt, chunk, download, nextUrl, send } from "./support/raw-client.ts";
import { freePort, type Server, startServer } from "./support/server.ts";
import { bucketDiskBytes } from "./support/stored-blobs.ts";

const mebibyte = 1024 * 1024;
const someImages = 10;
const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** An image of one small layer, all of it made from its number. */
function smallImage(number: number) {
  const describe = (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.byteLength,
  });
  const config = Buffer.from(JSON.stringify({ number }));
  const layer = new Content(`layer ${number}`, 10_000).read(0, 10_000);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: [describe("application/vnd.oci.image.layer.v1.tar", layer)],
    }),
  );
  return { blobs: [config, layer], manifest };
}

/** How far pushes have come. */
interface Progress {
  acknowledged: number;
  isKilled: boolean;
}

/** Pushes numbered images until the server is killed. */
async function pushUntilKilled(url: string, repository: string, progress: Progress): Promise<void> {
  for (;;) {
    const { blobs, manifest } = smallImage(progress.acknowledged);
    try {
      for (const blob of blobs) {
        const to = `${url}/v2/${repository}/blobs/uploads/?digest=${sha256(blob)}`;
        const headers = { "Content-Length": String(blob.byteLength) };
        assert.equal((await send(to, { method: "POST", headers, body: [blob] })).status, 201);
      }
      const headers = { "Content-Type": manifestType, "Content-Length": String(manifest.byteLength) };
      const to = `${url}/v2/${repository}/manifests/v${progress.acknowledged}`;
      assert.equal((await send(to, { method: "PUT", headers, body: [manifest] })).status, 201);
      progress.acknowledged++;
    } catch (error) {
      if (progress.isKilled && !(error instanceof assert.AssertionError)) return;
      throw error;
    }
  }
}

/** Every image that was acknowledged is there, whole, and under its tag. */
async function servesImages({ url }: Server, repository: string, count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    const { blobs, manifest } = smallImage(number);
    const { status, digest } = await download(`${url}/v2/${repository}/manifests/v${number}`);
    assert.deepEqual(
      { status, digest },
      { status: 200, digest: sha256(manifest) },
      `image ${number} of ${count}`,
    );
    for (const blob of blobs) {
      const pulled = await download(`${url}/v2/${repository}/blobs/${sha256(blob)}`);
      assert.equal(pulled.digest, sha256(blob), `image ${number} of ${count}`);
    }
  }
}

async function refusesConnections(port: number): Promise<void> {
  await assert.rejects(
    new Promise((resolve, reject) => {
      const socket = createConnection({ host: "127.0.0.1", port }, () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.on("error", reject);
    }),
    { code: "ECONNREFUSED" },
  );
}

/** Waits until the bucket has grown by this much: a push is well on its way. */
async function bucketGrows(data: string, bytes: number): Promise<void> {
  const before = await bucketDiskBytes(data);
  await until("bytes in the bucket", async () => (await bucketDiskBytes(data)) >= before + bytes);
}

/** Kills the server in the middle of a streamed chunk, and of pushes of whole images beside it. */
async function killedInUpload(t: TestContext): Promise<void> {
  const data = temporaryDirectory(t);
  const port = await freePort();
  const first = await startServer(t, { data, port });
  const content = new Content("killed", 256 * mebibyte);
  const acknowledged = 24 * mebibyte + 123;
  const opened = await send(`${first.url}/v2/crash/large/blobs/uploads/`, { method: "POST" });
  const started = await send(nextUrl(first.url, opened), chunk(content, 0, acknowledged));
  assert.equal(started.status, 202);
  const session = nextUrl(first.url, started);

  const progress: Progress = { acknowledged: 0, isKilled: false };
  const images = pushUntilKilled(first.url, "crash/images", progress);
  await until("some images", () => progress.acknowledged >= someImages);
  const upload = send(session, chunk(content, acknowledged, content.sizeBytes)).then(
    () => "answered",
    () => "broken",
  );
  await bucketGrows(data, 32 * mebibyte);
  progress.isKilled = true;
  await first.kill();
  assert.equal(await upload, "broken");
  await images;
  await refusesConnections(port);

  const second = await startServer(t, { data, port });
  await servesImages(second, "crash/images", progress.acknowledged);
  const status = await send(session, { method: "GET" });
  assert.equal(status.status, 204, status.text);
  const resumeAt = bytesAt(status);
  t.diagnostic(`${progress.acknowledged} images were acknowledged; the upload resumes at ${resumeAt} bytes`);
  assert(resumeAt >= acknowledged, `${resumeAt} is not less than what was acknowledged`);
  const rest = await send(nextUrl(session, status), chunk(content, resumeAt, content.sizeBytes));
  assert.equal(rest.status, 202, rest.text);
  const closing = nextUrl(session, rest);
  const digest = content.digest();
  closing.searchParams.set("digest", digest);
  const closed = await send(closing, { method: "PUT", headers: { "Content-Length": "0" } });
  assert.equal(closed.status, 201, closed.text);
  const url = `${second.url}/v2/crash/large/blobs/${digest}`;
  assert.deepEqual(await download(url), { status: 200, digest, sizeBytes: content.sizeBytes });
  await second.stop();
}

/** Kills the server while docker pushes one image, after it has pushed another. */
async function killedInDockerPush(t: TestContext): Promise<void> {
  if (!hasPrograms(t, ...dockerPrograms)) return;
  const docker = await startDocker(t);
  const data = temporaryDirectory(t);
  const port = await freePort();
  const first = await startServer(t, { data, port });
  const kept = `${first.host}/crash/kept`;
  const cut = `${first.host}/crash/cut`;
  await buildImage(t, docker, kept, [3 * mebibyte, mebibyte]);
  await buildImage(t, docker, cut, [100 * mebibyte, 2 * mebibyte]);
  const ids = { kept: await imageId(docker, kept), cut: await imageId(docker, cut) };
  await docker(["push", kept]);

  const leave = new AbortController();
  const push = docker(["push", cut], { signal: leave.signal }).then(
    () => "pushed",
    () => "failed",
  );
  await bucketGrows(data, 25 * mebibyte);
  await first.kill();
  leave.abort();
  assert.equal(await push, "failed");
  await refusesConnections(port);

  const second = await startServer(t, { data, port });
  await docker(["push", cut]);
  await removeImages(docker, kept, cut);
  await docker(["pull", kept]);
  await docker(["pull", cut]);
  assert.deepEqual({ kept: await imageId(docker, kept), cut: await imageId(docker, cut) }, ids);
  await second.stop();
}

test(
  "kill -9 in the middle of an upload: what was acknowledged is there, and the upload goes on",
  killedInUpload,
);
test("kill -9 in the middle of a docker push: the push can be repeated", killedInDockerPush);
