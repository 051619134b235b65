/** How the interface is served: its page, its files, and what they must not change for other clients. */
import assert from "node:assert/strict";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { bundleInterface } from "../../src/local/interface.ts";
import { expectError } from "../support/answer.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();
const browser = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "identity" };
const files = await bundleInterface();

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

test("a browser gets the page for each screen, and may run only what comes with it", async () => {
  for (const path of ["/", "/search", "/r/team/app", "/r/team/app/-/tags/v1", "/account", "/waiting"]) {
    const answer = await registry.must(200, "GET", path, { headers: browser });
    assert.equal(answer.headers.get("Content-Type"), "text/html; charset=utf-8", path);
    assert.equal(answer.headers.get("Content-Security-Policy"), policy, path);
    assert.match(answer.headers.get("Cache-Control") ?? "", /^no-cache/);
    assert.doesNotMatch(answer.text, /<script(?! type="module" src="\/assets\/)|\son\w+=|style=/);
  }
});

test("the page is validated by its entity tag", async () => {
  const first = await registry.must(200, "GET", "/", { headers: browser });
  const headers = { ...browser, "If-None-Match": first.headers.get("ETag") ?? "" };
  await registry.must(304, "GET", "/", { headers });
});

test("the files that the page names are served as they are, gzipped or not, and are kept", async () => {
  const page = await registry.must(200, "GET", "/", { headers: browser });
  const named = Array.from(page.text.matchAll(/\/assets\/[\w.-]+/g), ([path]) => path);
  assert.equal(named.length, 3);
  for (const path of named) {
    const built = files.find(({ name }) => path.endsWith(`/${name}`));
    assert(built !== undefined, path);
    const zipped = await registry.must(200, "GET", path, { headers: { "Accept-Encoding": "gzip" } });
    const plain = await registry.must(200, "GET", path, { headers: { "Accept-Encoding": "identity" } });
    assert.equal(Buffer.from(zipped.bytes).toString("base64"), built.gzipped, path);
    assert.equal(gunzipSync(zipped.bytes).toString(), plain.text, path);
    assert.match(plain.headers.get("Cache-Control") ?? "", /^public, max-age=31536000, immutable/);
    assert.equal(
      plain.headers.get("Content-Security-Policy"),
      "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    );
    assert.notEqual(zipped.headers.get("ETag"), plain.headers.get("ETag"));
  }
});

test("what is no file is a true 404", async () => {
  for (const path of ["/assets/app.js", "/assets/page.html", "/nothing", "/favicon.ico", "/index.html"]) {
    expectError(await registry.must(404, "GET", path, { headers: browser }), 404, "UNSUPPORTED");
  }
});

test("other clients get from / what they always got", async () => {
  const plain = await registry.must(200, "GET", "/");
  assert.match(plain.text, /^This is Stowage .*\n$/);
  const json = await registry.must(200, "GET", "/", { headers: { Accept: "application/json" } });
  assert.equal(json.json<{ name: string }>().name, "stowage");
});

test("script and style take at most 60 kB, gzipped", () => {
  const bytes = files
    .filter(({ name }) => /\.(js|css)$/.test(name))
    .reduce((sum, { gzipped }) => sum + Buffer.from(gzipped, "base64").byteLength, 0);
  assert(bytes <= 60_000, `${bytes} bytes`);
});
