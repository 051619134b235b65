import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { expectError } from "../support/answer.ts";
import { fetchOnce } from "../support/client.ts";
import { content, describe, imageIndex, unknownDigest } from "../support/content.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";

const { registry, advance, collect, runAlarm } = await startTimedRegistry();

type Move = { sequence: number; time: string; actor: string; from: string | null; to: string | null };

const pathOf = (repository: string, tag: string) => `/api/v1/repositories/${repository}/tags/${tag}`;

async function historyOf(repository: string, tag: string, query = ""): Promise<Move[]> {
  return (await registry.must(200, "GET", `${pathOf(repository, tag)}/history${query}`)).json<{
    history: Move[];
  }>().history;
}

/** Posts; returns the status, and the problem's code where there is one. */
async function post(path: string, body?: object): Promise<[status: number, code?: string]> {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetchOnce(registry.url + path, { method: "POST", ...init });
  const { code } = (await response.json()) as { code?: string };
  return code === undefined ? [response.status] : [response.status, code];
}

const restoreTag = (repository: string, tag: string, body?: object) =>
  post(`${pathOf(repository, tag)}/restore`, body);
const restoreManifest = (repository: string, digest: string) =>
  post(`/api/v1/repositories/${repository}/manifests/${digest}/restore`);

async function digestOfTag(repository: string, tag: string): Promise<string> {
  return (await registry.must(200, "HEAD", `/v2/${repository}/manifests/${tag}`)).header(
    "Docker-Content-Digest",
  );
}

test("every move of a tag is told, newest first, in pages", async () => {
  const [one, two] = [await registry.pushImage("moves", "v1"), await registry.pushImage("moves", "v1")];
  await registry.pushManifest("moves", "other", two.manifest);
  await registry.must(202, "DELETE", "/v2/moves/manifests/v1");
  const moves = await historyOf("moves", "v1");
  assert.deepEqual(
    moves.map(({ from, to, actor }) => [from, to, actor]),
    [
      [two.digest, null, "anonymous"],
      [one.digest, two.digest, "anonymous"],
      [null, one.digest, "anonymous"],
    ],
  );
  for (const { time } of moves) assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const first = await registry.must(200, "GET", `${pathOf("moves", "v1")}/history?n=2`);
  assert.deepEqual(first.json<{ history: Move[] }>().history, moves.slice(0, 2));
  const [, next = ""] = /<(.*)>/.exec(first.header("Link")) ?? [];
  assert.deepEqual(
    (await registry.must(200, "GET", next)).json<{ history: Move[] }>().history,
    moves.slice(2),
  );
  assert.equal((await fetchOnce(`${registry.url}${pathOf("moves", "never")}/history`)).status, 404);
  assert.equal((await fetchOnce(`${registry.url}${pathOf("nowhere", "v1")}/history`)).status, 404);
});

test("a tag that was deleted with its manifest and came back with it goes back to the one before", async () => {
  const [one, two] = [await registry.pushImage("twice", "v1"), await registry.pushImage("twice", "v1")];
  await registry.must(202, "DELETE", `/v2/twice/manifests/${two.digest}`);
  assert.deepEqual(await restoreManifest("twice", two.digest), [200]);
  assert.deepEqual(await restoreTag("twice", "v1"), [200]);
  assert.equal(await digestOfTag("twice", "v1"), one.digest);
});

test("a tag goes back to what it was, to a digest or to a move, as long as the manifest is there", async () => {
  const [one, two] = [await registry.pushImage("undo", "v1"), await registry.pushImage("undo", "v1")];
  assert.deepEqual(await restoreTag("undo", "v1"), [200]);
  assert.equal(await digestOfTag("undo", "v1"), one.digest);
  assert.deepEqual(await restoreTag("undo", "v1", { digest: two.digest }), [200]);
  assert.equal(await digestOfTag("undo", "v1"), two.digest);
  const [first] = (await historyOf("undo", "v1")).slice(-1);
  assert.deepEqual(await restoreTag("undo", "v1", { sequence: first?.sequence }), [200]);
  assert.equal(await digestOfTag("undo", "v1"), one.digest);
  await registry.must(202, "DELETE", "/v2/undo/manifests/v1");
  assert.deepEqual(await restoreTag("undo", "v1"), [200]);
  assert.equal(await digestOfTag("undo", "v1"), one.digest);

  await registry.must(202, "DELETE", `/v2/undo/manifests/${two.digest}`);
  assert.deepEqual(await restoreTag("undo", "v1", { digest: two.digest }), [404, "MANIFEST_UNKNOWN"]);
  assert.equal(await digestOfTag("undo", "v1"), one.digest);
});

test("what makes no sense to go back to is refused, and changes nothing", async () => {
  const image = await registry.pushImage("refused", "v1");
  const other = await registry.pushImage("refused", "v2");
  const refusals: [body: object | undefined, status: number][] = [
    [undefined, 404],
    [{ digest: other.digest }, 404],
    [{ digest: unknownDigest() }, 404],
    [{ digest: "latest" }, 400],
    [{ sequence: 999_999 }, 404],
    [{ sequence: 0 }, 400],
    [{ sequence: 1.5 }, 400],
    [{ sequence: "1" }, 400],
    [{ sequence: 1, digest: image.digest }, 400],
    [{ to: image.digest }, 400],
  ];
  for (const [body, status] of refusals) {
    assert.equal((await restoreTag("refused", "v1", body))[0], status, JSON.stringify(body));
  }
  assert.deepEqual(await restoreTag("refused", "never"), [404, "TAG_MOVE_UNKNOWN"]);
  assert.deepEqual(await restoreTag("nowhere", "v1"), [404, "NAME_UNKNOWN"]);
  assert.equal(await digestOfTag("refused", "v1"), image.digest);
  assert.equal((await historyOf("refused", "v1")).length, 1);
});

test("a deleted manifest is gone at once, and comes back whole with its tags, within the grace", async () => {
  const image = await registry.pushImage("trash", "v1");
  await registry.pushManifest("trash", "v2", image.manifest);
  await registry.must(202, "DELETE", `/v2/trash/manifests/${image.digest}`);
  expectError(await registry.get(`/v2/trash/manifests/${image.digest}`), 404, "MANIFEST_UNKNOWN");
  const other = await registry.pushImage("trash", "v2");
  await advance(20 * hourMs);
  await collect(["trash"], [image.config, ...image.layers]);
  assert.deepEqual(await restoreManifest("trash", image.digest), [200]);
  await registry.pullImage("trash", "v1", image);
  await registry.pullImage("trash", image.digest, image);
  assert.equal(await digestOfTag("trash", "v2"), other.digest);
  assert.deepEqual(await restoreManifest("trash", image.digest), [200], "as it is");

  for (let round = 0; round < 3; round++) {
    await advance(25 * hourMs);
    await collect(["trash"], [image.config, ...image.layers]);
  }
  await registry.pullImage("trash", "v1", image);
});

test("a deleted manifest does not come back after the grace, and leaves nothing behind", async () => {
  const before = registry.stored.blobKeys();
  const image = await registry.pushImage("too-late", "v1");
  await registry.must(202, "DELETE", `/v2/too-late/manifests/${image.digest}`);
  for (let round = 0; round < 3; round++) {
    await advance(25 * hourMs);
    await collect(["too-late"], [image.config, ...image.layers]);
  }
  assert.deepEqual(await restoreManifest("too-late", image.digest), [404, "MANIFEST_UNKNOWN"]);
  assert.deepEqual(
    registry.stored.blobKeys().filter((key) => !before.includes(key)),
    [],
  );
});

test("a manifest whose blob was deleted after it waits for that blob", async () => {
  const layer = content();
  const image = await registry.pushImage("needs", "v1", [layer]);
  await registry.must(202, "DELETE", `/v2/needs/manifests/${image.digest}`);
  for (const digest of image.layers) await registry.must(202, "DELETE", `/v2/needs/blobs/${digest}`);
  assert.deepEqual(await restoreManifest("needs", image.digest), [404, "MANIFEST_BLOB_UNKNOWN"]);
  expectError(await registry.get(`/v2/needs/manifests/${image.digest}`), 404, "MANIFEST_UNKNOWN");
  await registry.pushBlob("needs", layer);
  assert.deepEqual(await restoreManifest("needs", image.digest), [200]);
  await registry.pullImage("needs", "v1", image);
});

test("a referrer that was deleted is one again once it is restored", async () => {
  const image = await registry.pushImage("referrers", "v1");
  const subject = describe(image.manifest, "application/vnd.oci.image.manifest.v1+json");
  const index = imageIndex([], { subject, artifactType: "application/vnd.example" });
  const digest = await registry.pushManifest("referrers", "signature", index, imageIndexType);
  const listed = async () =>
    (await registry.must(200, "GET", `/v2/referrers/referrers/${image.digest}`)).json<{
      manifests: { digest: string }[];
    }>().manifests;
  const before = await listed();
  await registry.must(202, "DELETE", `/v2/referrers/manifests/${digest}`);
  assert.deepEqual(await listed(), []);
  assert.deepEqual(await restoreManifest("referrers", digest), [200]);
  assert.deepEqual(await listed(), before);
});

test("moves are forgotten after TAG_HISTORY_DAYS, and the tag stays", async () => {
  const image = await registry.pushImage("forgotten", "v1");
  await registry.pushManifest("forgotten", "v1", imageIndex([]), imageIndexType);
  await registry.pushManifest("forgotten", "v1", image.manifest);
  await advance(89 * 24 * hourMs);
  await runAlarm("LEDGERS", "forgotten");
  assert.equal((await historyOf("forgotten", "v1")).length, 3);
  await registry.pushManifest("forgotten", "v2", image.manifest);
  await advance(2 * 24 * hourMs);
  await runAlarm("LEDGERS", "forgotten");
  assert.deepEqual(await historyOf("forgotten", "v1"), []);
  assert.equal((await historyOf("forgotten", "v2")).length, 1);
  assert.equal(await digestOfTag("forgotten", "v1"), image.digest);
});

test("a digest to go back to that is no text is refused, however deep it is", async () => {
  await registry.pushImage("deep", "v1");
  const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  const response = await fetchOnce(`${registry.url}${pathOf("deep", "v1")}/restore`, {
    method: "POST",
    body: `{"digest":${deep}}`,
  });
  assert.equal(response.status, 400);
  assert.equal(((await response.json()) as { code: string }).code, "REQUEST_INVALID");
});
