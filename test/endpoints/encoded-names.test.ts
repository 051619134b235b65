/** Some clients, Azure's among them, write the slashes of a repository's name as `%2F`. */
import assert from "node:assert/strict";
import test from "node:test";
import { content, describe, digestOf, imageManifest } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();

for (const [what, slash] of Object.entries({ upper: "%2F", lower: "%2f" })) {
  test(`a name whose slashes are written ${slash} is the same repository`, async () => {
    const name = `team/${what}/app`;
    const encoded = `/v2/${name.replaceAll("/", slash)}`;
    const [config, layer] = [content(), content()];
    for (const bytes of [config, layer]) {
      const opened = await registry.must(202, "POST", `${encoded}/blobs/uploads/`);
      const location = opened.header("Location");
      assert(location.startsWith(`/v2/${name}/blobs/uploads/`), location);
      const again = location.replace(`/v2/${name}`, encoded);
      const sent = await registry.must(202, "PATCH", again, { body: bytes });
      const closed = await registry.must(201, "PUT", `${sent.header("Location")}?digest=${digestOf(bytes)}`);
      assert.equal(closed.header("Location"), `/v2/${name}/blobs/${digestOf(bytes)}`);
    }
    const manifest = imageManifest(describe(config, "application/json"), [describe(layer, "text/plain")]);
    for (const tag of ["v1", "v2"]) {
      const put = await registry.putManifest(name.replaceAll("/", slash), tag, manifest);
      assert.equal(put.status, 201, put.text);
      assert.equal(put.header("Location"), `/v2/${name}/manifests/${digestOf(manifest)}`);
    }
    assert.deepEqual((await registry.must(200, "GET", `/v2/${name}/manifests/v1`)).bytes, manifest);
    assert.deepEqual((await registry.must(200, "GET", `${encoded}/blobs/${digestOf(layer)}`)).bytes, layer);
    const tags = await registry.must(200, "GET", `${encoded}/tags/list?n=1`);
    assert.deepEqual(tags.json(), { name, tags: ["v1"] });
    assert.equal(tags.header("Link"), `</v2/${name}/tags/list?n=1&last=v1>; rel="next"`);
    await registry.must(202, "DELETE", `${encoded}/manifests/v2`);
    await registry.must(404, "GET", `/v2/${name}/manifests/v2`);
  });
}
