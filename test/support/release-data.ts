/** What is kept in the data directories of whole releases: how it comes to be, and what must be found of it later. */
import assert from "node:assert/strict";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { Client } from "./client.ts";
import {
  configType,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
  layerType,
  mebibyte,
} from "./content.ts";
import { scrub } from "./upkeep.ts";

/** The password of the account `admin`, with which the data was made, and is opened. */
export const adminPassword = "of every kept release";

/** How it is run: no listener of a webhook is out of bounds, and no time passes that would take part of it away. */
export const releaseVars = ["WEBHOOK_ALLOW_PRIVATE=yes", "TAG_HISTORY_DAYS=3650"];

/** What one release made up, and nobody can know who has not been told. */
export type Facts = { token: string; webhook: string; upload: string };

const builderPassword = "the builder's password";
const app = "team/app";
const other = "team/other";
const visibility = { visibility: "public", description: "from an earlier release" };

/** Bytes of which an archive has next to nothing. A large one is stored in parts. */
const small = encode("a layer of an earlier release");
const large = new Uint8Array(6 * mebibyte).fill(1);
const config = encode({ from: "an earlier release" });
/** What an upload has that was left open: a part, and some. */
const uploaded = new Uint8Array(5 * mebibyte + 1000).fill(2);
const uploadedRest = new Uint8Array(1000).fill(3);

const image = imageManifest(describe(config, configType), [
  describe(small, layerType),
  describe(large, layerType),
]);
const moved = imageManifest(describe(config, configType), [], { annotations: { was: "v1" } });
const index = imageIndex([describe(image, imageManifestType)]);
const signature = imageManifest(describe(config, configType), [], {
  artifactType: "application/vnd.example.signature",
  subject: describe(image, imageManifestType),
});

/** The administrator of a registry. */
export function adminOf(url: string): Client {
  return new Client(url, { name: "admin", password: adminPassword });
}

/** How many puts of manifests there are in the following. */
const pushedManifests = 7;

async function pushRepositories(builder: Client, admin: Client): Promise<void> {
  for (const bytes of [config, small]) await builder.pushBlob(app, bytes);
  await builder.streamBlob(app, large);
  await builder.pushManifest(app, "v1", moved);
  for (const tag of ["v1", "latest"]) await builder.pushManifest(app, tag, image);
  await builder.pushManifest(app, "all", index, imageIndexType);
  await builder.pushManifest(app, digestOf(signature), signature);
  await builder.pushManifest(app, "gone", image);
  await builder.must(202, "DELETE", `/v2/${app}/manifests/gone`);
  for (const bytes of [config, small, large]) {
    await builder.must(201, "POST", `/v2/${other}/blobs/uploads/?mount=${digestOf(bytes)}&from=${app}`);
  }
  await builder.pushManifest(other, "v1", image);
  await admin.must(200, "PATCH", `/api/v1/repositories/${app}`, { body: JSON.stringify(visibility) });
}

/**
 * Fills an empty registry: two repositories that share their blobs, with tags, one that moved and one that was deleted,
 * an index and a referrer; an account with a token; a webhook with events that wait; an upload that is under way.
 *
 * @param url of a registry with {@link adminPassword} and {@link releaseVars}
 */
export async function fill(url: string): Promise<Facts> {
  const admin = adminOf(url);
  const post = async (path: string, body: object) =>
    (await admin.must(201, "POST", `/api/v1/${path}`, { body: JSON.stringify(body) })).json<
      Record<string, string>
    >();
  const grants = [{ repository: "team/**", verbs: ["pull", "push", "delete"] }];
  const account = JSON.stringify({ password: builderPassword, grants });
  await admin.must(201, "PUT", "/api/v1/accounts/builder", { body: account });
  const { secret: token } = await post("accounts/builder/tokens", { description: "kept" });
  // Nothing listens there.
  const { id: webhook } = await post("webhooks", { url: "http://127.0.0.1:9/", events: ["manifest.push"] });
  const builder = new Client(url, { name: "builder", password: builderPassword });
  await pushRepositories(builder, admin);
  const upload = await builder.patch(await builder.openUpload(app), uploaded);
  return { token: token ?? assert.fail(), webhook: webhook ?? assert.fail(), upload };
}

async function areServed(
  builder: Client,
  repository: string,
  tags: Record<string, Uint8Array>,
): Promise<void> {
  for (const [tag, manifest] of Object.entries(tags)) {
    for (const reference of [tag, digestOf(manifest)]) {
      const { bytes } = await builder.must(200, "GET", `/v2/${repository}/manifests/${reference}`);
      assert.deepEqual(bytes, new Uint8Array(manifest), `${repository}:${reference}`);
    }
  }
  for (const blob of [config, small, large]) {
    const { bytes } = await builder.must(200, "GET", `/v2/${repository}/blobs/${digestOf(blob)}`);
    assert.equal(digestOf(bytes), digestOf(blob), repository);
  }
}

/** Whether the upload went on and ended; if not, it has expired. */
async function endUpload(builder: Client, upload: string): Promise<boolean> {
  const { status } = await builder.send("GET", upload);
  if (status === 404) return false;
  assert.equal(await builder.uploadOffset(upload), uploaded.byteLength);
  const location = await builder.patch(upload, uploadedRest);
  const all = Buffer.concat([uploaded, uploadedRest]);
  await builder.must(201, "PUT", `${location}?digest=${digestOf(all)}`);
  const { bytes } = await builder.must(200, "GET", `/v2/${app}/blobs/${digestOf(all)}`);
  assert.equal(digestOf(bytes), digestOf(all));
  return true;
}

/**
 * Checks that all is there that {@link fill} left, as often as it is asked, and that a scrub finds nothing wrong.
 *
 * @param more tags of `team/app` that were pushed since
 */
export async function check(url: string, { token, webhook }: Facts, more: string[] = []): Promise<void> {
  const admin = adminOf(url);
  const builder = new Client(url, { name: "builder", password: builderPassword });
  const catalog = await admin.must(200, "GET", "/v2/_catalog");
  assert.deepEqual(catalog.json(), { repositories: [app, other] });
  await areServed(builder, app, { v1: image, latest: image, all: index });
  await areServed(new Client(url, { name: "builder", password: token }), other, { v1: image });
  // Public repositories are for everybody, and others are not.
  const tags = await new Client(url).must(200, "GET", `/v2/${app}/tags/list`);
  assert.deepEqual(tags.json<{ tags: string[] }>().tags, ["all", "latest", "v1", ...more].toSorted());
  await new Client(url).must(401, "GET", `/v2/${other}/tags/list`);
  await builder.must(404, "GET", `/v2/${app}/manifests/gone`);
  const referrers = await builder.must(200, "GET", `/v2/${app}/referrers/${digestOf(image)}`);
  assert.deepEqual(
    referrers.json<{ manifests: { digest: string }[] }>().manifests.map(({ digest }) => digest),
    [digestOf(signature)],
  );
  const described = await admin.must(200, "GET", `/api/v1/repositories/${app}`);
  assert.partialDeepStrictEqual(described.json(), visibility);
  const history = await admin.must(200, "GET", `/api/v1/repositories/${app}/tags/gone/history`);
  assert.match(history.text, /"to":null/);
  const queue = await admin.must(200, "GET", `/api/v1/webhooks/${webhook}`);
  const { waiting, deadLetters } = queue.json<{ waiting: number; deadLetters: number }>();
  assert(waiting + deadLetters >= pushedManifests, queue.text);
  const { problems, unchecked } = await scrub(admin);
  assert.deepEqual({ problems, unchecked }, { problems: [], unchecked: [] });
}

/** Goes on with it: pushes by each way, moves a tag, deletes one, and ends the upload. Returns the tag that is new. */
export async function goOn(url: string, { upload }: Facts): Promise<{ tag: string; isUploadEnded: boolean }> {
  const builder = new Client(url, { name: "builder", password: builderPassword });
  const isUploadEnded = await endUpload(builder, upload);
  const tag = `v${Date.now()}`;
  const pushed = await builder.pushImage(app, tag, [encode(tag), large]);
  await builder.pullImage(app, tag, pushed);
  await builder.pushManifest(app, "latest", moved);
  await builder.pushManifest(app, "latest", image);
  await builder.pushManifest(app, "gone", image);
  await builder.must(202, "DELETE", `/v2/${app}/manifests/gone`);
  return { tag, isUploadEnded };
}
