/**
 * Data that earlier releases wrote: later ones must open it, serve it and go on with it.
 *
 * Each archive in earlier-data/ is the data directory of a release: one image with a referrer in a public repository,
 * one account, and an upload that was left open; since there are webhooks, one with two events that wait. A release that
 * changes a schema adds its predecessor's archive. One has refusals in the audit log with texts of 60 KB, and the last
 * one manifests that are refused since; see ../objects/rereading.test.ts.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import test from "node:test";
import { content, digestOf } from "../support/content.ts";
import { archives, earlierData } from "../support/earlier-data.ts";
import type { BucketKind } from "../support/miniflare/options.ts";
import { startRegistry } from "../support/registry.ts";
import { parseMetrics, seriesValue } from "../support/scrape.ts";

const layer = "a layer of an earlier release";
const manifestDigest = "sha256:ca144d2e5c140adf11a1793669c30c7e3bb5d95c41d9699f73bd59db61303336";
const referrerDigest = "sha256:bfc4c2c80a76e5f6c9485ad1741dc761bfe298e3f04150d80ae62de0b74e17f2";

type Archive = {
  name: string;
  bucket: BucketKind;
  openUpload: string;
  webhook?: string;
  refusals?: number;
  repositories?: number;
};

const releases: Archive[] = [
  {
    name: "before-schema-versions.tar.gz",
    bucket: "r2",
    openUpload: "175fda74-9a49-46e0-9478-48e967670f4a.touw0o.as.xfITtTpLnyQHuw40BbW6Yrgx8qbIqLnONNPQhTnXjpg",
  },
  {
    name: "before-counts-of-objects.tar.gz",
    bucket: "disk",
    openUpload: "c1c620d4-aab5-4543-9842-bc721749e3f6.tov1k1.as.ZMiL19X0MoxEuFfRh5R8-eOtfcfOFWEHVLKOcwgEVeY",
    webhook: "6e4aabbe-39f0-4287-ae97-62e8a44d3a4e",
  },
  {
    name: "before-kinds-of-audit.tar.gz",
    bucket: "disk",
    openUpload: "c1c620d4-aab5-4543-9842-bc721749e3f6.tov1k1.as.ZMiL19X0MoxEuFfRh5R8-eOtfcfOFWEHVLKOcwgEVeY",
    refusals: 20,
  },
  {
    name: "before-rereading.tar.gz",
    bucket: "disk",
    openUpload: "c1c620d4-aab5-4543-9842-bc721749e3f6.tov1k1.as.ZMiL19X0MoxEuFfRh5R8-eOtfcfOFWEHVLKOcwgEVeY",
    webhook: "6e4aabbe-39f0-4287-ae97-62e8a44d3a4e",
    repositories: 3,
  },
];

function basic(name: string, password: string): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` };
}

const admin = { name: "admin", password: "another password since" };
const builder = basic("builder", "the builder's password");

test("every archive is opened by a test", () => {
  const files = readdirSync(archives);
  // Those with facts beside them are earlier-releases.test.ts's.
  const kept = files.filter(
    (file) => file.endsWith(".gz") && !files.includes(file.replace(/\.tar\.gz$/, ".json")),
  );
  assert.deepEqual(kept.toSorted(), releases.map(({ name }) => name).toSorted());
});

for (const { name, bucket, openUpload, webhook, refusals, repositories = 1 } of releases) {
  test(`the data of ${name} is opened, served and gone on with`, async () => {
    const dataDirectory = earlierData(name);
    const registry = await startRegistry({ dataDirectory, bucket, vars: { ADMIN_PASSWORD: admin.password } });
    const app = "/v2/team/app";

    const byTag = await registry.must(200, "GET", `${app}/manifests/v1`, { headers: builder });
    assert.equal(digestOf(byTag.bytes), manifestDigest);
    const blob = await registry.must(
      200,
      "GET",
      `${app}/blobs/${digestOf(new TextEncoder().encode(layer))}`,
      {
        headers: builder,
      },
    );
    assert.equal(blob.text, layer);
    const referrers = await registry.must(200, "GET", `${app}/referrers/${manifestDigest}`, {
      headers: builder,
    });
    assert.deepEqual(
      referrers.json<{ manifests: { digest: string }[] }>().manifests.map(({ digest }) => digest),
      [referrerDigest],
    );

    const described = await registry.must(200, "GET", "/api/v1/repositories/team/app", {
      headers: basic(admin.name, admin.password),
    });
    const { visibility, description } = described.json<Record<string, unknown>>();
    assert.deepEqual([visibility, description], ["public", "from an earlier release"]);

    // The upload may have expired meanwhile; it must not fail.
    const upload = await registry.send("GET", `${app}/blobs/uploads/${openUpload}`, { headers: builder });
    assert([204, 404].includes(upload.status), upload.text);

    const more = content();
    await registry.must(201, "POST", `${app}/blobs/uploads/?digest=${digestOf(more)}`, {
      headers: builder,
      body: more,
    });
    await registry.must(201, "PUT", `${app}/manifests/v2`, {
      headers: { ...builder, "Content-Type": byTag.header("Content-Type") },
      body: byTag.bytes,
    });
    const tags = await registry.must(200, "GET", `${app}/tags/list`, { headers: builder });
    assert.deepEqual(tags.json<{ tags: string[] }>().tags, ["v1", "v2"]);

    const headers = basic(admin.name, admin.password);
    const metrics = await registry.must(200, "GET", "/metrics", { headers });
    assert.equal(seriesValue(parseMetrics(metrics.text), "stowage_repositories"), repositories);
    if (refusals !== undefined) {
      const log = await registry.must(200, "GET", "/api/v1/audit?kind=refusal", { headers });
      assert.equal(log.json<{ entries: unknown[] }>().entries.length, refusals);
      assert(log.bytes.byteLength < 1000 * refusals, `${log.bytes.byteLength} bytes`);
    }
    if (webhook === undefined) return;
    const queue = await registry.must(200, "GET", `/api/v1/webhooks/${webhook}`, { headers });
    assert(queue.json<{ waiting: number }>().waiting >= 2, queue.text);
  });
}
