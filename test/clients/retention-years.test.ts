/**
 * Years of daily pushes and runs of retention, on a registry whose clock is moved: then crane checks every byte of what
 * was kept.
 *
 * `RETENTION_YEARS=10 node --test test/clients/retention-years.test.ts` takes some minutes.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import {
  configType,
  content,
  type Descriptor,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
  layerType,
} from "../support/content.ts";
import { tarOf } from "../support/tar.ts";
import { hourMs, startTimedRegistry } from "../support/timed-registry.ts";
import { gc } from "../support/upkeep.ts";
import { hasPrograms, run } from "./support/programs.ts";

const years = Number(process.env.RETENTION_YEARS ?? 0.1);
const days = Math.round(years * 365);
const repository = "years/app";
const dayMs = 24 * hourMs;

const rule = {
  repositories: ["**"],
  tags: { immutable: ["v*"] },
  keep: [
    { tags: ["v*"], newestVersions: 10 },
    { tags: ["*"], newest: 5 },
    { tags: ["*"], pushedWithin: "30d" },
    { tags: ["*"], usedWithin: "14d" },
  ],
  remove: { tags: ["v*", "pr-*"], untaggedAfter: "7d" },
};

/** The layer that all images share, as a base image. */
const base = tarOf({ base: content(2_000) });

test(`after ${days} days of pushes and runs, crane pulls all that is kept`, async (t) => {
  if (!hasPrograms(t, "crane")) return;
  const { registry, advance, runAlarm } = await startTimedRegistry();
  const put = (reference: string, bytes: Uint8Array, type: string) =>
    registry.pushManifest(repository, reference, bytes, type);

  /** Pushes an image as a build makes it, under a tag or by its digest. */
  const pushImage = async (tag?: string): Promise<Descriptor> => {
    const layers = [base, tarOf({ app: content(500) })];
    const config = encode({
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) },
    });
    const packed = layers.map((layer) => new Uint8Array(gzipSync(layer)));
    for (const bytes of [config, ...packed.slice(1)]) await registry.pushBlob(repository, bytes);
    const described = packed.map((bytes) => describe(bytes, layerType));
    const manifest = imageManifest(describe(config, configType), described);
    await put(tag ?? digestOf(manifest), manifest, imageManifestType);
    return describe(manifest, imageManifestType);
  };

  /** Pushes a release of two platforms that it shares with nothing, with a note that refers to it. */
  const pushRelease = async (tag: string): Promise<Descriptor[]> => {
    const images = [await pushImage(), await pushImage()];
    const index = imageIndex(images);
    await put(tag, index, imageIndexType);
    const note = imageIndex([], {
      subject: describe(index, imageIndexType),
      artifactType: "application/vnd.example.note",
    });
    await put(digestOf(note), note, imageIndexType);
    return images;
  };

  await registry.must(200, "PUT", "/api/v1/policies", { json: { rules: [rule] } });
  await registry.pushBlob(repository, new Uint8Array(gzipSync(base)));
  let used: Descriptor | undefined;
  for (let today = 0; today < days; today++) {
    const image = await pushImage(`pr-${today}`);
    const { bytes } = await registry.must(200, "GET", `/v2/${repository}/manifests/${image.digest}`);
    await put("main", bytes, imageManifestType);
    if (today % 7 === 0) {
      const week = today / 7;
      const [first] = await pushRelease(`v1.${Math.floor(week / 10)}.${week % 10}`);
      used ??= first;
    }
    // Somebody pulls the first release all the time, by the digest of one of its images.
    if (used !== undefined && today % 5 === 0)
      await registry.must(200, "GET", `/v2/${repository}/manifests/${used.digest}`);
    await advance(dayMs);
    await runAlarm("LEDGERS", repository);
    if (today % 30 === 0) await gc(registry);
  }
  for (let round = 0; round < 4; round++) {
    await advance(dayMs);
    await gc(registry);
  }

  const listed = await registry.must(200, "GET", `/v2/${repository}/tags/list`);
  const { tags } = listed.json<{ tags: string[] }>();
  const releases = Math.ceil(days / 7);
  const newest = Array.from({ length: Math.min(10, releases) }, (_, at) => releases - 1 - at);
  for (const tag of ["main", "v1.0.0", ...newest.map((at) => `v1.${Math.floor(at / 10)}.${at % 10}`)])
    assert(tags.includes(tag), `${tag} stays`);
  assert(tags.length < 60, `${tags.length} tags are left`);

  const name = `${new URL(registry.url).host}/${repository}`;
  let notes = 0;
  for (const tag of tags) {
    await run("crane", ["validate", "--remote", `${name}:${tag}`]);
    if (!tag.startsWith("v")) continue;
    const { stdout } = await run("crane", ["digest", `${name}:${tag}`]);
    const path = `/v2/${repository}/referrers/${stdout.trim()}`;
    const { manifests } = (await registry.must(200, "GET", path)).json<{ manifests: Descriptor[] }>();
    for (const { digest } of manifests) await run("crane", ["manifest", `${name}@${digest}`]);
    notes += manifests.length;
  }
  assert.equal(notes, tags.filter((tag) => tag.startsWith("v")).length, "each release has its note");
  const keys = registry.stored.blobKeys().length;
  // A tag leads to at most two images of a layer and a config of their own.
  assert(keys < 4 * tags.length + 60, `${keys} blobs are left`);
  t.diagnostic(`${days} days: crane validated ${tags.length} tags; ${keys} blobs are left`);
});
