/** Backups of manifests that are no images: what they name goes with them, wherever it stands. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { content, digestOf, encode } from "../support/content.ts";
import { earlierData } from "../support/earlier-data.ts";
import { after } from "../support/ends-of-files.ts";
import { startRegistry } from "../support/registry.ts";
import { call } from "./command-line.ts";

const directory = mkdtempSync(join(tmpdir(), "stowage-backup-"));
after(() => rmSync(directory, { recursive: true, force: true }));

test("what a manifest of unknown type names is exported and imported with it", async () => {
  const [original, restored] = await Promise.all([startRegistry(), startRegistry()]);
  const bytes = content();
  const digest = await original.pushBlob("any", bytes);
  const source = encode({ manifests: { a: [{ digest }] }, layers: "none" });
  await original.pushManifest("any", "v1", source, "application/vnd.example+json");
  const folder = join(directory, "any");
  for (const [program, { url }] of [
    ["export", original],
    ["import", restored],
  ] as const) {
    const { code, stderr } = await call([program, folder], { STOWAGE_URL: url });
    assert.equal(code, 0, stderr);
  }
  assert.deepEqual((await restored.must(200, "GET", "/v2/any/manifests/v1")).bytes, source);
  assert.deepEqual((await restored.must(200, "GET", `/v2/any/blobs/${digest}`)).bytes, bytes);
});

test("what any client reads in a manifest of an earlier release is exported; the manifest is not imported", async () => {
  const original = await startRegistry({
    dataDirectory: earlierData("before-rereading.tar.gz"),
    bucket: "disk",
  });
  const restored = await startRegistry();
  const folder = join(directory, "earlier");
  const flags = ["--repository", "team/earlier"];
  const exported = await call(["export", folder, ...flags], { STOWAGE_URL: original.url });
  assert.equal(exported.code, 0, exported.stderr);
  for (const name of ["schema 1", "folded", "repeated", "long s", "nested, folded"]) {
    const [algorithm = "", hex = ""] = digestOf(encode(`earlier: ${name}`)).split(":");
    assert(existsSync(join(folder, "team", "earlier", "blobs", algorithm, hex)), name);
  }
  const scrubbed = await call(["scrub"], { STOWAGE_URL: original.url });
  assert.equal(scrubbed.code, 0, "what would be refused today is no damage");
  assert.match(scrubbed.stdout, /^REFUSED +manifest +team\/earlier sha256:.*schema 1/m);
  const imported = await call(["import", folder], { STOWAGE_URL: restored.url });
  assert.equal(imported.code, 1);
  assert.match(imported.stderr, /sha256:[0-9a-f]{64} cannot be pushed: /);
});
