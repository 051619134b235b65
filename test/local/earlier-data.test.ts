/**
 * Data that earlier releases wrote: later ones must open it, serve it and go on with it.
 *
 * Each archive in earlier-data/ is the data directory of a release: one image with a referrer in a public repository,
 * one account, and an upload that was left open. A release that changes a schema adds its predecessor's archive.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { content, digestOf } from "../support/content.ts";
import { serve } from "../support/registry.ts";

const archives = join(import.meta.dirname, "earlier-data");
const layer = "a layer of an earlier release";
const manifestDigest = "sha256:ca144d2e5c140adf11a1793669c30c7e3bb5d95c41d9699f73bd59db61303336";
const referrerDigest = "sha256:bfc4c2c80a76e5f6c9485ad1741dc761bfe298e3f04150d80ae62de0b74e17f2";
const openUpload =
  "/v2/team/app/blobs/uploads/175fda74-9a49-46e0-9478-48e967670f4a.touw0o.as.xfITtTpLnyQHuw40BbW6Yrgx8qbIqLnONNPQhTnXjpg";

function basic(name: string, password: string): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` };
}

const builder = basic("builder", "the builder's password");

for (const archive of readdirSync(archives)) {
  test(`the data of ${archive} is opened, served and gone on with`, async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), "stowage-earlier-"));
    after(() => rmSync(dataDirectory, { recursive: true, force: true }));
    execFileSync("tar", ["xzf", join(archives, archive), "-C", dataDirectory]);
    const registry = await serve({ dataDirectory, vars: { ADMIN_PASSWORD: "another password since" } });
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
      headers: basic("admin", "another password since"),
    });
    const { visibility, description } = described.json<Record<string, unknown>>();
    assert.deepEqual([visibility, description], ["public", "from an earlier release"]);

    // The upload may have expired meanwhile; it must not fail.
    const upload = await registry.send("GET", openUpload, { headers: builder });
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
  });
}
