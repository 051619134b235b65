/** `stowage copy` between Stowage and distribution: nothing changes on the way, and nothing is sent twice. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { call } from "../cli/command-line.ts";
import { temporaryDirectory, until } from "../local/program.ts";
import { openLine } from "../support/bounded-line.ts";
import { Client } from "../support/client.ts";
import { content, describe, digestOf, imageIndex } from "../support/content.ts";
import { afterTest } from "../support/ends.ts";
import { startDistribution } from "./support/distribution.ts";
import { writeImage } from "./support/oci-layout.ts";
import { hasPrograms } from "./support/programs.ts";
import { freePort, startServer } from "./support/server.ts";

const megabyte = 1024 * 1024;
const environment = { DOCKER_CONFIG: "/nonexistent" };

async function start(t: TestContext): Promise<{ directory: string; ours: string; theirs: string }> {
  const directory = temporaryDirectory(t);
  const data = join(directory, "data");
  await mkdir(data, { mode: 0o700 });
  const server = await startServer(t, { data, port: await freePort() });
  afterTest(t, () => server.stop());
  return { directory, ours: server.url, theirs: await startDistribution(t, join(directory, "distribution")) };
}

const at = (url: string, rest: string) => `${new URL(url).host}/${rest}`;

async function copy(...args: string[]) {
  const { code, stdout, stderr } = await call(["copy", ...args, "--json"], environment);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as { manifests: number; blobs: number; bytes: number; tags: string[] };
}

async function manifestOf(url: string, repository: string, reference: string): Promise<Uint8Array> {
  const answer = await fetch(`${url}/v2/${repository}/manifests/${reference}`, {
    headers: { Accept: `${imageIndexType}, ${imageManifestType}` },
  });
  assert.equal(answer.status, 200, `${repository}:${reference}`);
  return new Uint8Array(await answer.arrayBuffer());
}

test("an index with its signatures goes to distribution and comes back, and is the same", async (t) => {
  if (!hasPrograms(t, "registry")) return;
  const { ours, theirs } = await start(t);
  const client = new Client(ours);
  const images = [];
  for (const architecture of ["amd64", "arm64"]) {
    const { manifest } = await client.pushImage("team/app", architecture, [content(200_000), content(3000)]);
    images.push({ ...describe(manifest, imageManifestType), platform: { os: "linux", architecture } });
  }
  const index = imageIndex(images);
  await client.pushManifest("team/app", "v1", index, imageIndexType);
  const subject = describe(index, imageIndexType);
  const signature = imageIndex([], { subject, artifactType: "application/vnd.example.signature" });
  await client.pushManifest("team/app", digestOf(signature), signature, imageIndexType);
  const cosign = `${digestOf(index).replace(":", "-")}.sig`;
  await client.pushImage("team/app", cosign, [content(50)]);

  const sent = await copy(at(ours, "team/app:v1"), at(theirs, "team/app:v1"));
  assert.deepEqual(sent.tags.sort(), [cosign, "v1"].sort());
  // distribution keeps no list of referrers: there is an index in its place.
  const listed = JSON.parse(
    new TextDecoder().decode(await manifestOf(theirs, "team/app", digestOf(index).replace(":", "-"))),
  );
  assert.deepEqual(
    listed.manifests.map(({ digest }: { digest: string }) => digest),
    [digestOf(signature)],
  );
  const again = await copy(at(ours, "team/app:v1"), at(theirs, "team/app:v1"));
  assert.deepEqual([again.manifests, again.blobs, again.bytes], [0, 0, 0]);

  const back = await copy(at(theirs, "team/app:v1"), at(ours, "back/app:v1"));
  assert.deepEqual([back.manifests, back.blobs], [sent.manifests, sent.blobs]);
  for (const [url, repository] of [
    [theirs, "team/app"],
    [ours, "back/app"],
  ] as const) {
    assert.deepEqual(await manifestOf(url, repository, "v1"), index);
    for (const { digest } of images)
      assert.equal(digestOf(await manifestOf(url, repository, digest)), digest);
    await manifestOf(url, repository, cosign);
  }
  const referrers = await client.must(200, "GET", `/v2/back/app/referrers/${digestOf(index)}`);
  const [referrer] = referrers.json<{ manifests: { digest: string; artifactType: string }[] }>().manifests;
  assert.deepEqual(
    [referrer?.digest, referrer?.artifactType],
    [digestOf(signature), "application/vnd.example.signature"],
  );
});

for (const destination of ["distribution", "Stowage"]) {
  test(`a copy to ${destination} that is killed and repeated sends only what is missing`, async (t) => {
    if (!hasPrograms(t, "registry")) return;
    const { directory, ours, theirs } = await start(t);
    const [from, to] = destination === "Stowage" ? [theirs, ours] : [ours, theirs];
    const sizes = Array.from({ length: 12 }, () => 8 * megabyte);
    const layout = await writeImage(join(directory, "in"), "v1", sizes);
    await copy(`oci:${layout.directory}:v1`, at(from, "team/app:v1"));
    const line = await openLine({ to });
    afterTest(t, () => line.close());
    const target = at(line.url, "team/app:v1");
    const child = spawn(process.execPath, ["src/cli/main.ts", "copy", at(from, "team/app:v1"), target], {
      env: { ...process.env, ...environment },
      stdio: "ignore",
    });
    const all = 12 * 8 * megabyte;
    await until("half of it", () => line.traffic.bodyBytes > all / 2);
    child.kill("SIGKILL");
    await once(child, "close");
    const before = line.traffic.bodyBytes;
    const { blobs, bytes } = await copy(at(from, "team/app:v1"), target);
    const sent = line.traffic.bodyBytes - before;
    t.diagnostic(`${before} bytes before it was killed, ${sent} after; ${blobs} blobs`);
    // Four layers were on their way, and are sent again.
    assert(sent <= all - before + 5 * 8 * megabyte && bytes <= sent, `${sent} bytes were sent again`);
    assert.deepEqual(await manifestOf(to, "team/app", "v1"), await manifestOf(from, "team/app", "v1"));
  });
}
