/** What a ledger knows of its manifests and tags, and of their use. */
import assert from "node:assert/strict";
import test from "node:test";
import { scheduler } from "node:timers/promises";
import { jobsOf } from "../../src/objects/ledger/feature.ts";
import { findManifest, findTag, listManifests, listTags } from "../../src/objects/ledger/listing.ts";
import { oneRow, readRows } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import { readStoredManifest } from "../../src/oci/manifest.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { type Digest, digestOfContent, type RepositoryName, type Tag } from "../../src/oci/reference.ts";
import { day, dayOf } from "../../src/units.ts";
import { configType, content, describe, imageIndex, imageManifest, layerType } from "../support/content.ts";
import { memoryLedger } from "../support/ledger.ts";

// As in the runtime of the objects.
Object.assign(globalThis, { scheduler });

const repository = "team/app" as RepositoryName;
const origin = { ...registryItself, actor: "builder" };
const tagNamed = (text: string) => text as Tag;

/** A ledger to push to, with or without blobs. */
function ledger() {
  const parts = memoryLedger();
  const push = (bytes: Uint8Array, mediaType: string, tags: string[] = []): Digest => {
    const digest = digestOfContent(bytes, "sha256");
    const facts = readStoredManifest(bytes, mediaType);
    const put = { repository, digest, bytes, facts, tags: tags.map(tagNamed), origin, sparse: true };
    assert.deepEqual(
      parts.change((tx) => parts.manifests.store(tx, put)),
      { ok: true },
    );
    return digest;
  };
  const image = (size: number, tags: string[] = []) => {
    const layer = { ...describe(content(), layerType), size };
    const manifest = imageManifest({ ...describe(content(), configType), size: 10 }, [layer]);
    return { manifest, digest: push(manifest, imageManifestType, tags) };
  };
  const use = (digest: Digest, tag?: string) =>
    parts.uses.record([tag === undefined ? { digest } : { digest, tag: tagNamed(tag) }], 0);
  return { ...parts, push, image, use, today: () => dayOf(parts.clock.nowMs) };
}

test("a page of tags has the size, kind and platforms of each image, and who pushed it", () => {
  const { image, push, sql, clock } = ledger();
  const [one, two] = [image(100, ["one"]), image(1000)];
  const children = [one, two].map(({ manifest }, at) =>
    describe(manifest, imageManifestType, {
      platform: { os: "linux", architecture: ["amd64", "arm64"][at] },
    }),
  );
  // What is not there does not count.
  const index = imageIndex([...children, describe(content(5), imageManifestType)]);
  const details = findManifest(sql, push(index, imageIndexType, ["all", "latest"]));
  const sizes = details?.manifests.map(({ digest, contentBytes }) => [digest, contentBytes] as const) ?? [];
  assert.deepEqual(
    new Map(sizes),
    new Map([
      [one.digest, 110],
      [two.digest, 1010],
    ]),
  );
  assert.deepEqual(findManifest(sql, one.digest)?.manifests, []);
  const { entries, more } = listTags(sql, "", 10);
  assert.equal(more, false);
  const pushed = {
    pushedAtMs: clock.nowMs,
    pushedBy: "builder",
    updatedAtMs: clock.nowMs,
    updatedBy: "builder",
  };
  const shown = entries.map(({ digest: _, mediaType: __, sizeBytes: ___, config: ____, ...rest }) => rest);
  const all = {
    kind: "index",
    contentBytes: 110 + 1010,
    platforms: ["linux/amd64", "linux/arm64"],
    ...pushed,
  };
  assert.deepEqual(shown, [
    { tag: "all", ...all },
    { tag: "latest", ...all },
    { tag: "one", artifactType: configType, kind: "image", contentBytes: 110, ...pushed },
  ]);
  assert.deepEqual(
    listTags(sql, "all", 1).entries.map(({ tag }) => tag),
    ["latest"],
  );
  assert.equal(listTags(sql, "all", 1).more, true);
});

test("a page looks at no more of what large indexes list than its bytes allow", () => {
  const { push, sql } = ledger();
  const tags = ["a", "b", "c", "d", "e", "f"];
  for (const tag of tags) {
    const children = Array.from({ length: 6000 }, () => describe(content(8), imageManifestType));
    push(imageIndex(children), imageIndexType, [tag]);
  }
  const pages: string[][] = [];
  for (let last = ""; ; last = pages.at(-1)?.at(-1) ?? "") {
    const { entries, more } = listTags(sql, last, 100);
    pages.push(entries.map(({ tag }) => tag));
    if (!more) break;
  }
  assert.deepEqual(pages.flat(), tags);
  assert(
    pages.length > 1 && pages.every((page) => page.length > 0 && page.length <= 4),
    JSON.stringify(pages),
  );
  assert.equal(listManifests(sql, "", 100).more, true);
});

test("a use by a tag is one of its manifest and of all its tags; a tag keeps its own when it moves on", () => {
  const { image, push, sql, clock, use, today } = ledger();
  const first = image(1, ["v1", "latest"]);
  const usedDays = () =>
    Object.fromEntries(listTags(sql, "", 10).entries.map(({ tag, usedDay }) => [tag, usedDay]));
  assert.deepEqual(usedDays(), { latest: undefined, v1: undefined });
  use(first.digest, "latest");
  const firstDay = today();
  assert.deepEqual(usedDays(), { latest: firstDay, v1: firstDay });

  clock.nowMs += 3 * day;
  const second = image(2, ["latest"]);
  assert.deepEqual(usedDays(), { latest: firstDay, v1: firstDay }, "the name was used then");
  assert.equal(findManifest(sql, second.digest)?.usedDay, undefined);
  use(second.digest);
  assert.deepEqual(usedDays(), { latest: today(), v1: firstDay });
  push(second.manifest, imageManifestType, ["v2"]);
  assert.equal(findTag(sql, tagNamed("v2"))?.usedDay, today());
});

test("a use of an image is one of every index that lists it, and of their tags", () => {
  const { image, push, sql, use, today } = ledger();
  const { manifest, digest } = image(1);
  const child = describe(manifest, imageManifestType);
  const indexes = ["a", "b"].map((tag) =>
    push(imageIndex([child], { annotations: { tag } }), imageIndexType, [tag]),
  );
  use(digest);
  assert.deepEqual(
    listTags(sql, "", 10).entries.map(({ usedDay }) => usedDay),
    [today(), today()],
  );
  const { entries } = listManifests(sql, "", 10);
  assert.deepEqual(new Set(entries.map(({ usedDay }) => usedDay)), new Set([today()]));
  assert.deepEqual(findManifest(sql, digest)?.indexes.toSorted(), indexes.toSorted());
});

test("a day of use is written once, and never goes back; a clock that is ahead is believed for a day", () => {
  const { image, uses, sql, clock, repository: record, today } = ledger();
  const { digest } = image(1, ["v1"]);
  const usedDay = () => findManifest(sql, digest)?.usedDay;
  const written = () => oneRow<{ count: number }>(sql, "SELECT total_changes() AS count").count;
  uses.record([{ digest, tag: tagNamed("v1") }], today() + 20_000);
  assert.equal(usedDay(), today() + 1);
  clock.nowMs -= 5 * day;
  const before = written();
  uses.record([{ digest, tag: tagNamed("v1") }], today());
  uses.record([{ digest }], 0);
  assert.equal(written(), before);
  record.reload();
  assert.equal(record.meta?.usedDay, usedDay());
});

test("uses of what is not there write nothing", () => {
  const { uses, sql, today, repository: record } = ledger();
  uses.record([{ digest: digestOfContent(content(), "sha256"), tag: tagNamed("none") }], today());
  record.reload();
  assert.equal(record.meta?.usedDay, undefined);
  assert.deepEqual(readRows(sql, "SELECT * FROM tags"), []);
});

test("what a config says is stored with its image", () => {
  const { image, facts, change, sql } = ledger();
  const { digest } = image(1, ["v1"]);
  assert.equal(findTag(sql, tagNamed("v1"))?.platforms, undefined);
  change((tx) => facts.addConfigs(tx, [{ manifest: digest, platforms: ["linux/arm64"], createdAtMs: 5 }]));
  const found = findTag(sql, tagNamed("v1"));
  assert.deepEqual([found?.platforms, found?.createdAtMs], [["linux/arm64"], 5]);
});

test("manifests of earlier releases are read again in batches, and count as used on that day", async () => {
  const { image, change, due, sql, features, clock, today } = ledger();
  const digests = Array.from({ length: 250 }, (_, at) => image(at).digest);
  const fresh = image(7).digest;
  change((tx) => {
    tx.write(
      "UPDATE manifests SET kind = NULL, content_size = NULL, platforms = NULL, config = NULL, pushed_by = NULL",
    );
    due.set(tx, "manifest-facts", "", clock.nowMs);
  });
  const before = listManifests(sql, "", 1000).entries;
  assert(
    before.every(({ kind, contentBytes, usedDay }) =>
      [kind, contentBytes, usedDay].every((each) => each === undefined),
    ),
  );
  const job = jobsOf(features)["manifest-facts"];
  assert(job !== undefined);
  let rounds = 0;
  for (; due.has("manifest-facts"); rounds++) {
    await job(readRows(sql, "SELECT id, at FROM due WHERE kind = 'manifest-facts'"));
  }
  assert(rounds >= 3, `${rounds} rounds`);
  const { entries } = listManifests(sql, "", 1000);
  assert.equal(entries.length, digests.length + 1);
  assert(entries.every(({ kind, usedDay }) => kind === "image" && usedDay === today()));
  assert.equal(findManifest(sql, fresh)?.contentBytes, 17);
});
